"""What people look at: figures, the report page, and where the numbers come from."""
