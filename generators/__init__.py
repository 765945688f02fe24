"""Training and import of face generators; needs the extra ``train`` (torch)."""
