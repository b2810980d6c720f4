"""Raw logs: lines of named formats, and the templates that their messages were printed from."""
