"""Writing pictures, masks and video files. PNG needs nothing but Python; video needs ffmpeg."""
import struct
import subprocess
import zlib


def write_png(path, pixels):
    """uint8 [H,W] grey or [H,W,3] RGB"""
    height, width = pixels.shape[:2]
    kind = 2 if pixels.ndim == 3 else 0

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    with open(path, "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0))
                + chunk(b"IDAT", zlib.compress(rows, 6)) + chunk(b"IEND", b""))


def _ffmpeg(path, frames, rate, arguments):
    t, h, w, _ = frames.shape
    command = ["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{w}x{h}", "-r", str(rate),
               "-i", "-", *arguments, str(path)]
    subprocess.run(command, input=frames.tobytes(), check=True)


def write_lossless(path, frames, rate):
    """frames uint8 [T,H,W,3] -> H.264 in RGB, every pixel as given"""
    _ffmpeg(path, frames, rate, ["-c:v", "libx264rgb", "-crf", "0", "-preset", "veryfast"])


def write_compressed(path, frames, rate, quality=32):
    """frames uint8 [T,H,W,3] -> H.264 yuv420p as a thrifty encoder makes it. quality: x264's crf"""
    _ffmpeg(path, frames, rate, ["-c:v", "libx264", "-crf", str(quality), "-preset", "medium", "-pix_fmt", "yuv420p"])


def write_with_tones(path, frames, rate):
    """frames uint8 [T,H,W,3] -> H.264 yuv420p with soft sine tones, as a camera's file would be"""
    seconds = len(frames) / rate
    tones = ("aevalsrc='0.12*(sin(2*PI*220*t)+sin(2*PI*277.18*t)+sin(2*PI*329.63*t))*(0.6+0.4*sin(2*PI*0.5*t))'"
             f":s=44100:d={seconds}")
    _ffmpeg(path, frames, rate, ["-f", "lavfi", "-i", tones, "-c:v", "libx264", "-crf", "18", "-pix_fmt", "yuv420p",
                                 "-c:a", "aac", "-b:a", "96k", "-shortest", "-movflags", "+faststart"])
