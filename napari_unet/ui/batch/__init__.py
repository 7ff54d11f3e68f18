"""ui/batch"""
