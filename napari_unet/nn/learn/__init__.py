"""nn/learn"""
