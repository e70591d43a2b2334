"""Enlarging video files, folders of frames and still images."""
