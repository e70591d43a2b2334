"""Enlarging video files, folders of frames and still images, as streams: memory does not grow with the length.

A plan is made first (`plan`), then any number of parts are enlarged independently (`enlarge`) and put together with the
sound of the source, without encoding the pictures again (`join`). Frames are known by their number in order of
presentation. Every part decodes the file from its start: that costs little beside the network, needs no index, and gives
every part the very frames that an unsplit run sees, whatever the container.

Output: H.264 of 8 bits, 4:2:0, in mp4. Time stamps, pixel aspect, rotation, colour tags, sound and metadata are kept;
subtitles are not.
"""
