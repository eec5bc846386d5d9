"""What flows between the stages: records, the append-only store, files and row counts."""
