import io
import logging
import os
import zipfile
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from deepsr.data import frames
from deepsr.data.frames import (
    Clip,
    decode,
    index_images,
    list_images,
    list_members,
    luma,
    pair_lr,
    write_clip,
)
from deepsr.errors import InputError

HARBOUR = Path(__file__).parent / "clips/harbour"
FRAME = cv2.imread(str(HARBOUR / "00.png"))


def encoded(frame=FRAME, suffix=".png"):
    return cv2.imencode(suffix, frame)[1].tobytes()


def folder_of(path, **files):
    path.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (path / name).write_bytes(data)
    return path


def opened(container, prefix=""):
    return Clip(index_images(container, list_members(container, prefix)))


def test_a_folder_of_images_is_a_clip():
    clip = opened(HARBOUR)
    assert (len(clip), clip.height, clip.width) == (10, 98, 122)
    for i in range(len(clip)):
        assert np.array_equal(clip[i], cv2.imread(str(HARBOUR / f"{i:02d}.png")))


def test_frames_come_in_natural_order(tmp_path):
    names = ["frame10.png", "frame2.png", "frame1.PNG", "frame02b.png", "Frame3.jpg", "².png", "७.png"]
    for name in [*names, ".hidden.png", "._frame1.png", "notes.txt", "thumbs.db"]:
        (tmp_path / name).write_bytes(b"")
    found = list_images(tmp_path)
    assert set(found) == set(names)
    assert found.index("frame2.png") < found.index("frame10.png") > found.index("frame1.PNG")


@pytest.mark.parametrize("name", ["two words.png", 'quote\'s "x".png', "übung 点.png", "#1 & 2;.png"])
def test_names_that_people_give(tmp_path, name):
    folder = folder_of(tmp_path / name.removesuffix(".png"), **{name: encoded()})
    assert np.array_equal(opened(folder)[0], FRAME)


def test_a_zip_is_a_clip_below_its_prefix(tmp_path):
    path = tmp_path / "clips.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("a/1.png", "a/10.png", "a/2.png", "a/deeper/3.png", "a/._1.png", "__MACOSX/a/._1.png", "ab/9.png"):
            archive.writestr(name, encoded() if "._" not in name else b"resource fork")
    assert list_members(path, "a/") == ["a/1.png", "a/2.png", "a/10.png"]
    assert np.array_equal(opened(path, "a/")[2], FRAME)


def test_a_written_clip_reads_back_and_has_reproducible_bytes(tmp_path):
    shots = [FRAME, FRAME[::-1].copy(), FRAME // 2]
    for name in ("one.zip", "two.zip"):
        write_clip(tmp_path / name, iter(shots))
    clip = opened(tmp_path / "one.zip")
    assert len(clip) == 3 and all(np.array_equal(clip[i], frame) for i, frame in enumerate(shots))
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_the_hash_tells_content_from_names(tmp_path):
    first = folder_of(tmp_path / "a", **{"1.png": encoded(), "2.png": encoded(FRAME[::-1])})
    renamed = folder_of(tmp_path / "b", **{"x1.png": encoded(), "x2.png": encoded(FRAME[::-1])})
    swapped = folder_of(tmp_path / "c", **{"1.png": encoded(FRAME[::-1]), "2.png": encoded()})
    hashes = [index_images(folder, list_members(folder))["sha256"] for folder in (first, renamed, swapped)]
    assert hashes[0] == hashes[1] != hashes[2]


@pytest.mark.parametrize(
    "picture, expected",
    [
        (FRAME[..., 0], np.dstack([FRAME[..., 0]] * 3)),  # grey
        (np.dstack([FRAME, FRAME[..., :1]]), FRAME),  # alpha is dropped
        (FRAME.astype(np.uint16) * 257, FRAME),  # 16 bit
        (FRAME[..., 0].astype(np.uint16) * 257, np.dstack([FRAME[..., 0]] * 3)),
    ],
    ids=["grey", "alpha", "16 bit", "16 bit grey"],
)
def test_kinds_of_png(picture, expected):
    assert np.array_equal(decode(encoded(picture), "x"), expected)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tiff"])
def test_lossless_formats(suffix):
    assert np.array_equal(decode(encoded(suffix=suffix), "x"), FRAME)


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_lossy_formats(suffix):
    assert np.abs(decode(encoded(suffix=suffix), "x").astype(int) - FRAME).mean() < 6


def test_a_palette_picture():
    file = io.BytesIO()
    Image.fromarray(FRAME[..., ::-1]).quantize(256).save(file, "PNG")
    assert np.abs(decode(file.getvalue(), "x").astype(int) - FRAME).mean() < 6


def test_a_rotation_in_the_header_is_ignored_so_that_sizes_agree(tmp_path):
    file, exif = io.BytesIO(), Image.Exif()
    exif[274] = 6  # turned by 90 degrees
    Image.fromarray(FRAME[..., ::-1]).save(file, "JPEG", exif=exif)
    index = index_images(folder_of(tmp_path, **{"0.jpg": file.getvalue()}), ["0.jpg"])
    assert (index["height"], index["width"]) == decode(file.getvalue(), "x").shape[:2] == FRAME.shape[:2]


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, on a TIFF's tags
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".webp", ".tiff"])
@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.999])
def test_a_truncated_image_is_named(tmp_path, suffix, share):
    data = encoded(suffix=suffix)
    folder = folder_of(tmp_path, **{f"{i}{suffix}": data for i in range(3)})
    index = index_images(folder, list_members(folder))
    (folder / f"1{suffix}").write_bytes(data[: int(share * len(data))])
    clip = Clip(index)
    clip[0], clip[2]
    with pytest.raises(InputError, match=rf"/1\{suffix}: .*(truncated|cannot be read|can be read)"):
        clip[1]


def test_damage_inside_a_png_is_found():
    data = bytearray(encoded())
    data[len(data) // 2] ^= 1
    with pytest.raises(InputError, match="holiday.png: cannot be decoded"):
        decode(bytes(data), "holiday.png")


@pytest.mark.parametrize("progressive", [0, 1])
def test_damage_inside_a_jpeg_is_found_when_the_clip_is_indexed(tmp_path, progressive, capfd):
    """JPEG has no checksum, and is decoded all the same."""
    good = cv2.imencode(".jpg", FRAME, [cv2.IMWRITE_JPEG_QUALITY, 90, cv2.IMWRITE_JPEG_PROGRESSIVE, progressive])[
        1
    ].tobytes()
    middle = len(good) // 2
    bad = good[:middle] + bytes(64) + good[middle + 64 :]
    folder = folder_of(tmp_path, **{"1.jpg": good, "2.jpg": good})
    index_images(folder, ["1.jpg", "2.jpg"])
    (folder / "2.jpg").write_bytes(bad)
    with pytest.raises(InputError, match="2.jpg: is damaged inside; replace it"):
        index_images(folder, ["1.jpg", "2.jpg"])
    os.write(2, b"after")
    assert capfd.readouterr().err == "after"  # what libjpeg says is kept off the terminal, and nothing else is


@pytest.mark.parametrize("bits, refused", [(10, True), (12, True), (13, False), (16, False)])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bit_frames_with_fewer_bits_in_them_are_refused(tmp_path, bits, refused, suffix):
    frame = FRAME.astype(np.uint16) * 257 >> (16 - bits)
    folder = folder_of(tmp_path, **{f"0{suffix}": encoded(frame // 2, suffix), f"1{suffix}": encoded(frame, suffix)})
    if refused:
        with pytest.raises(
            InputError, match=rf"its 16-bit frames hold no value above {frame.max()} of 65535, .*12 bits by 16"
        ):
            index_images(folder, list_members(folder))
    else:
        index_images(folder, list_members(folder))


def test_a_black_16_bit_clip_is_no_clip_of_few_bits(tmp_path):
    index_images(folder_of(tmp_path, **{"0.png": encoded(FRAME.astype(np.uint16) * 0)}), ["0.png"])


@pytest.mark.parametrize("frame", [FRAME / np.float32(255), FRAME[..., 0] / np.float32(255)], ids=["colour", "grey"])
def test_floating_point_tiff_is_called_what_it_is(frame):
    with pytest.raises(InputError, match="0.tif: holds floating-point numbers; store it with 8 or 16 bits"):
        decode(encoded(frame, ".tif"), "0.tif")


def saved(kind, **options):
    file, picture = io.BytesIO(), Image.fromarray(FRAME[..., ::-1])
    picture.save(file, kind, **options)
    return file.getvalue()


SECOND = [Image.fromarray(FRAME)]
LATER = "the pictures after the first one in the file are ignored"
BESIDE = {
    "alpha.png": (encoded(np.dstack([FRAME, FRAME[..., :1]])), "its transparency is ignored"),
    "animated.png": (saved("PNG", save_all=True, append_images=SECOND), LATER),
    "pages.tif": (saved("TIFF", save_all=True, append_images=SECOND), LATER),
    "plain.png": (encoded(), ""),
    "plain.tif": (encoded(suffix=".tif"), ""),
}


@pytest.mark.parametrize("name", BESIDE)
def test_what_is_dropped_is_said_once(tmp_path, name, caplog):
    data, said = BESIDE[name]
    suffix = name[-4:]
    folder = folder_of(tmp_path, **{f"{i}{suffix}": data for i in range(3)})
    with caplog.at_level(logging.WARNING):
        index_images(folder, list_members(folder))
    assert caplog.messages == ([f"{folder}/0{suffix}: {said}"] if said else [])


def test_one_name_in_two_formats_is_not_two_frames(tmp_path):
    folder = folder_of(tmp_path, **{"000.png": b"", "000.jpg": b"", "001.png": b""})
    with pytest.raises(InputError, match="000.jpg, 000.png have one name, .*remove all but one"):
        list_images(folder)


def test_a_name_that_is_not_utf_8_is_named(tmp_path):
    (tmp_path / os.fsdecode(b"fr\xe9.png")).write_bytes(b"")
    with pytest.raises(InputError, match=r"the name of the frame 'fr\\udce9.png' is not UTF-8; rename it"):
        list_images(tmp_path)


@pytest.mark.parametrize(
    "hr, lr",
    [
        (["00.png", "01.png"], ["01.png", "00.png"]),
        (["a/00.png", "a/01.png"], ["b/01.jpg", "b/00.jpg"]),
        (["baby.png", "bird.png"], ["birdx4.png", "babyx4.png"]),
        (["im1_HR.png", "im2_HR.png"], ["im2_LR.png", "im1_LR.png"]),
        (["im1_SRF_4_HR.png", "im2_SRF_4_HR.png"], ["im2_SRF_4_LR.png", "im1_SRF_4_LR.png"]),
        (["1.png", "2.png"], ["2_X2_lr.png", "1_X2_lr.png"]),
    ],
)
def test_lr_frames_are_paired_by_name(hr, lr):
    assert pair_lr(hr, lr, "lr") == lr[::-1]


@pytest.mark.parametrize(
    "hr, lr, culprit",
    [
        (["0.png", "1.png"], ["0.png", "zz.png"], "1.png"),
        (["0.png", "1.png"], ["0.png"], "1.png"),
        (["0.png"], ["0.png", "1.png"], "1.png"),
        (["0.png"], ["0.png", "0x4.png"], "0.png"),
        (["01.png"], ["1.png"], "01.png"),
    ],
)
def test_lr_frames_that_cannot_be_paired(hr, lr, culprit):
    with pytest.raises(
        InputError,
        match=f"^lr: the names of {len(lr)} LR and {len(hr)} HR frames do not match one to one .see {culprit}.; call",
    ):
        pair_lr(hr, lr, "lr")


def test_no_more_frames_are_taken_than_are_asked_for():
    assert list_members(HARBOUR, frames=4) == [f"{i:02d}.png" for i in range(4)]


def test_sizes_must_agree(tmp_path):
    folder = folder_of(tmp_path, **{"1.png": encoded(), "2.png": encoded(FRAME[:-1])})
    with pytest.raises(InputError, match="2.png: is 122x97 but the clip's first frame is 122x98"):
        index_images(folder, list_members(folder))


def test_a_frame_changed_after_the_index_was_made(tmp_path):
    folder = folder_of(tmp_path, **{"1.png": encoded(), "2.png": encoded()})
    clip = opened(folder)
    (folder / "2.png").write_bytes(encoded(FRAME[:, :-2]))
    with pytest.raises(InputError, match="2.png: is 120x98"):
        clip[1]
    (folder / "2.png").unlink()
    with pytest.raises(InputError, match="2.png: cannot be read .No such file.*put the frame back"):
        clip[1]


@pytest.mark.parametrize("size", [(60_000, 60_000), (9_000, 8), (8, 9_000), (16_000, 16_000)])
def test_a_decompression_bomb_is_refused_by_its_header(tmp_path, monkeypatch, size):
    file = io.BytesIO()
    Image.new("1", (8, 8)).save(file, "PNG")
    data = bytearray(file.getvalue())
    data[16:24] = b"".join(side.to_bytes(4, "big") for side in size)
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    monkeypatch.setattr(frames.cv2, "imdecode", None)  # not called
    with pytest.raises(InputError, match="1.png: is larger than 8192 pixels"):
        decode(bytes(data), "1.png")
    folder = folder_of(tmp_path, **{"1.png": bytes(data)})
    with pytest.raises(InputError, match="1.png: is larger than 8192 pixels"):
        index_images(folder, ["1.png"])


@pytest.mark.parametrize("data", [b"", b"not an image", b"\x89PNG\r\n\x1a\n", encoded()[:20]])
def test_what_is_no_image_is_named(data):
    with pytest.raises(InputError, match="1.png: is not an image that can be read"):
        decode(data, "1.png")


def test_a_clip_without_frames(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(InputError, match=f"{tmp_path}: holds no frames"):
        list_members(tmp_path)
    with pytest.raises(InputError, match="holds 10 frames, 100 are expected"):
        list_members(HARBOUR, frames=100)


def test_archives_that_cannot_be_read(tmp_path):
    path = tmp_path / "clip.zip"
    with pytest.raises(InputError, match="clip.zip: there is no such file"):
        list_members(path)
    path.write_text("<html>")
    with pytest.raises(InputError, match="clip.zip: is not a complete zip archive"):
        list_members(path)
    write_clip(path, [FRAME, FRAME])
    clip = opened(path)
    data = bytearray(path.read_bytes())
    data[len(data) // 4] ^= 1  # in the first frame
    path.write_bytes(data)
    with pytest.raises(
        InputError,
        match="clip.zip/00000000.png: cannot be read .*if the workflow has fetched it, delete .*clip.zip and run again",
    ):
        clip[0]
    assert np.array_equal(clip[1], FRAME)
    index = index_images(path, ["00000001.png"])
    with pytest.raises(InputError, match="clip.zip/00000007.png: cannot be read"):
        Clip({**index, "members": ["00000007.png"]})[0]
    path.write_bytes(data[:-30])
    with pytest.raises(InputError, match="clip.zip: is not a complete zip archive"):
        Clip(index)


def test_luma_is_bt601_in_full_range():
    colours = np.uint8([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [0, 0, 0]]])  # B, G, R, white, black
    assert luma(colours).tolist() == [[29, 150, 76, 255, 0]]
