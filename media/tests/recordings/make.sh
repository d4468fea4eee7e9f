#!/bin/sh
# Makes the recordings beside this script with ffmpeg: 33,333 samples of two tones at 48 kHz, a
# length that no frame of any codec divides. What is stored whole is 5,555 samples at 8 kHz, to be
# small. `sh ../make.sh` in `files/`.
set -eu
tones='aevalsrc=0.3*sin(2*PI*440*t)+0.1*sin(2*PI*1000*t):s=48000,atrim=end_sample=33333'
make() {
    file=$1
    shift
    ffmpeg -nostdin -v error -y -f lavfi -i "$tones" -ac 1 -bitexact -map_metadata -1 "$@" "$file"
}
make aac.m4a -c:a aac -b:a 64k
make aac-44100.m4a -ar 44100 -c:a aac -b:a 64k
make fragmented.mp4 -c:a aac -b:a 64k -movflags frag_keyframe+delay_moov
make aac.aac -c:a aac -b:a 64k
make lame.mp3 -c:a libmp3lame -b:a 64k
make opus.ogg -c:a libopus -b:a 32k
make opus.webm -c:a libopus -b:a 32k
make opus.mp4 -c:a libopus -b:a 32k -strict -2
make vorbis.ogg -c:a libvorbis -q:a 2
tones='aevalsrc=0.3*sin(2*PI*440*t)+0.1*sin(2*PI*1000*t):s=8000,atrim=end_sample=5555'
make alac.m4a -c:a alac
make flac.flac -c:a flac
make flac.ogg -c:a flac
make pcm.aiff
make pcm.caf
make adpcm.wav -c:a adpcm_ima_wav
