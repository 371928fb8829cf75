"""SQLite exports of Nsight Systems: by page where possible, by SQL where not."""
