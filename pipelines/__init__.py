"""What you deploy: indexing, search and answering over a document store."""
