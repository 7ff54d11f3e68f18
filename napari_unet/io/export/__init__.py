"""io/export"""
