"""RetinaFace in torch: detection, gender and age; training, refinement and export."""
