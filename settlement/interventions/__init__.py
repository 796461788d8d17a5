"""What people may do about conversions, funds transfers and conflicts that the desk cannot finish by itself."""
