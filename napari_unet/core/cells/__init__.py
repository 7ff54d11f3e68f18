"""core/cells"""
