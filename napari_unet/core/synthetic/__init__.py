"""core/synthetic"""
