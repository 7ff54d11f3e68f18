"""ui/panel"""
