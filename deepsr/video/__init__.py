"""Enlarging video files, folders of frames and still images, as streams: memory does not grow with the length.

A plan is made first (`plan`), then any number of parts are enlarged independently (`enlarge`) and put together with the
sound of the source, without encoding the pictures again (`join`). Frames are known by their number in order of
presentation. Every part decodes the file from its start: that costs little beside the network, needs no index, and gives
every part the very frames that an unsplit run sees, whatever the container.

docs/video.md tells what is kept of a source, and what becomes of odd ones.
"""
