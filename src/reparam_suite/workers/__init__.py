"""Processes that train run after run: local ones kept warm, and Ray."""
