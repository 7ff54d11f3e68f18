"""core/review"""
