"""Large files and single clips of large archives, fetched over HTTP."""
