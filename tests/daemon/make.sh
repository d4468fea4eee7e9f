#!/bin/sh
# Makes the renditions beside this script with ffmpeg: of two seconds of a tone, which the tests make themselves, at the
# loudness of all renditions. `sh ../make.sh` in `files/`.
set -eu
tone='aevalsrc=0.1*sin(2*PI*440*t):s=48000,atrim=end_sample=96000,volume=volume=7.7dB'
make() {
    file=$1
    shift
    ffmpeg -nostdin -v error -y -f lavfi -i "$tone" -map_metadata -1 -fflags +bitexact -flags:a +bitexact "$@" "$file"
}
make tone.opus -c:a libopus -b:a 32k
make tone.m4a -c:a aac -b:a 64k -movflags +faststart -f ipod
make tagged.m4a -c:a aac -b:a 64k -movflags +faststart -f ipod -metadata location=+37.5665+126.9780/
make shorter.opus -c:a libopus -b:a 32k -t 1.5
make louder.opus -c:a libopus -b:a 32k -af volume=3dB
# The same sound as the demo's recording, a second of which is missing, at another level and otherwise encoded.
ffmpeg -nostdin -v error -y -ss 1 -i ../../../demo/media/posts/story-deep-sky/two-hundred.ogg -map_metadata -1 \
    -fflags +bitexact -flags:a +bitexact -ac 1 -af volume=-6dB -c:a libmp3lame -b:a 32k two-hundred.mp3
