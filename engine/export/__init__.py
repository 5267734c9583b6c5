"""Pictures, videos and meshes."""
