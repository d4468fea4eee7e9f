//! Pictures that the engine takes apart and does not decode itself. `ffmpeg` sees nothing of the file that they came in, only
//! what is coded in it.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Seek, Write};
use std::time::Duration;

use async_trait::async_trait;
use iyagi_actors::ports::{DecoderFault, LocalFile, PictureDecoder};
use iyagi_media::heif::{Codec, Coded, Matrix, Samples};

use super::child::{self, Bounds, ChildFault};
use super::{ALONE, Ffmpeg, Program, words};
use crate::spool::Kind;

#[async_trait]
impl PictureDecoder for Ffmpeg {
    async fn decode(
        &self,
        layers: Vec<Coded>,
        deadline: Duration,
    ) -> Result<LocalFile, DecoderFault> {
        let full = |error: io::Error| ChildFault::Full(error.to_string());
        let longest = layers.iter().map(|layer| layer.stream.len()).max();
        let longest = longest.unwrap_or_default() as u64;
        let bounds = Bounds {
            deadline,
            output_bytes_max: layers.iter().map(|layer| layer.decoded_bytes_max).sum(),
        };
        let input = self.spool.file(Kind::Object, longest).await.map_err(full)?;
        let each = move |program: &Program<'_>| {
            for layer in layers {
                replace(input.file(), &layer.stream).map_err(full)?;
                program.run(input.file(), decoding(&layer))?;
            }
            Ok(())
        };
        Ok(self.work(Kind::Decoded, bounds, each).await?)
    }
}

fn replace(mut file: &File, bytes: &[u8]) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(bytes)
}

/// Each picture as it is coded, and none of them twice or left out for their times. Further layers are appended.
fn decoding(layer: &Coded) -> Vec<OsString> {
    let (pixels, input) = (layer.pixels, child::INPUT);
    let format = match layer.codec {
        Codec::Av1 => "ivf",
        Codec::Hevc => "hevc",
    };
    let input = format!("-max_pixels {pixels} -format_whitelist {format} -f {format} -i {input}");
    let (colours, output) = match layer.samples {
        Samples::Colours { matrix, full_range } => {
            (colours(matrix, full_range), "-pix_fmt rgb24 -c:v ppm")
        }
        Samples::Greys => (String::new(), "-pix_fmt gray -c:v pgm"),
    };
    // Without these, numbers are rounded and chroma is spread as is quickest.
    let scale = format!("-vf scale=flags=bicubic+accurate_rnd+full_chroma_int{colours}");
    let all = "-map 0:v:0 -fps_mode passthrough";
    let pipe = "-f image2pipe -protocol_whitelist pipe pipe:1";
    [ALONE, &input, all, &scale, output, pipe]
        .into_iter()
        .flat_map(words)
        .collect()
}

fn colours(matrix: Option<Matrix>, full_range: Option<bool>) -> String {
    let matrix = matrix.map(|matrix| match matrix {
        Matrix::Bt601 => ":in_color_matrix=bt601",
        Matrix::Bt709 => ":in_color_matrix=bt709",
        Matrix::Bt2020 => ":in_color_matrix=bt2020",
    });
    let range = full_range.map(|full| {
        if full {
            ":in_range=full"
        } else {
            ":in_range=limited"
        }
    });
    [matrix, range].into_iter().flatten().collect()
}
