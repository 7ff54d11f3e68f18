"""core/image"""
