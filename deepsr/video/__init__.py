"""Enlarging video files, folders of frames and still images, as streams: memory does not grow with the length.

First a plan is made (`examine`, `plan`). Then any number of parts are enlarged independently (`enlarge`), and put together
with the sound of the source, without encoding the pictures again (`join`). A frame is known by its number in order of
presentation. Every part decodes the file from its start. That costs little beside the network, needs no index, and gives
every part the same frames as a run in one piece, for every container.

docs/video.md says what is kept of a source, and what happens to odd ones.
"""
