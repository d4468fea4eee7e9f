//! Pictures made for tests, and files made by hand where no encoder would make them.

use std::io::Cursor;

use flate2::Crc;
use image::codecs::gif::GifEncoder;
use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, Frame, ImageFormat, Rgb, RgbImage, RgbaImage};
use iyagi_media::{Limits, OutputFormat, Preset, RenderError, Rendered, Variant, render};

pub(crate) const RED: [u8; 3] = [220, 40, 40];
pub(crate) const GREEN: [u8; 3] = [40, 200, 60];
pub(crate) const BLUE: [u8; 3] = [40, 60, 210];
pub(crate) const YELLOW: [u8; 3] = [230, 220, 50];

/// Of [`quadrants`]: top left, top right, bottom left, bottom right.
pub(crate) const CORNERS: [[u8; 3]; 4] = [RED, GREEN, BLUE, YELLOW];

/// Red and green above blue and yellow, so that each of the eight orientations looks different.
pub(crate) fn quadrants(width: u32, height: u32) -> DynamicImage {
    RgbImage::from_fn(width, height, |x, y| {
        match (x < width / 2, y < height / 2) {
            (true, true) => Rgb(RED),
            (false, true) => Rgb(GREEN),
            (true, false) => Rgb(BLUE),
            (false, false) => Rgb(YELLOW),
        }
    })
    .into()
}

/// Waves of many frequencies, hard edges and a gradient.
pub(crate) fn scene(width: u32, height: u32) -> DynamicImage {
    let wave = |value: f32| (127.5 + 90.0 * value) as u8;
    RgbImage::from_fn(width, height, |x, y| {
        let (u, v) = (x as f32 / width as f32, y as f32 / height as f32);
        let edge = (u - 0.5).hypot(v - 0.4) < 0.2;
        let fine = ((u * 160.0).sin() * (v * 120.0).cos()) * 0.4;
        let coarse = (u * u * 40.0 + v * 9.0).sin() * 0.5;
        let lift = if edge { 0.4 } else { 0.0 };
        Rgb([
            wave(fine + lift),
            wave(coarse - lift),
            wave(v - 0.5 + fine * 0.5),
        ])
    })
    .into()
}

pub(crate) fn file(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

pub(crate) fn png(picture: &DynamicImage) -> Vec<u8> {
    file(picture, ImageFormat::Png)
}

pub(crate) fn webp(picture: &DynamicImage) -> Vec<u8> {
    file(picture, ImageFormat::WebP)
}

pub(crate) fn jpeg(picture: &DynamicImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    picture
        .write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, 95))
        .unwrap();
    bytes
}

pub(crate) fn gif(frames: &[RgbaImage]) -> Vec<u8> {
    let mut bytes = Vec::new();
    GifEncoder::new(&mut bytes)
        .encode_frames(frames.iter().cloned().map(Frame::new))
        .unwrap();
    bytes
}

/// A TIFF structure with nothing but an orientation.
pub(crate) fn exif(orientation: u16) -> Vec<u8> {
    let mut tiff = b"MM\0\x2a\0\0\0\x08\0\x01".to_vec();
    tiff.extend(b"\x01\x12\0\x03\0\0\0\x01");
    tiff.extend(orientation.to_be_bytes());
    tiff.extend([0; 6]);
    tiff
}

pub(crate) fn jpeg_segment(marker: u8, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len() + 2).unwrap().to_be_bytes();
    [&[0xff, marker], &length[..], data].concat()
}

/// Puts segments right after the first marker.
pub(crate) fn with_jpeg_segments(jpeg: &[u8], segments: &[Vec<u8>]) -> Vec<u8> {
    [&jpeg[..2], &segments.concat(), &jpeg[2..]].concat()
}

pub(crate) fn jpeg_exif(tiff: &[u8]) -> Vec<u8> {
    jpeg_segment(0xe1, &[b"Exif\0\0", tiff].concat())
}

pub(crate) fn png_chunk(kind: &[u8], data: &[u8]) -> Vec<u8> {
    let mut checksum = Crc::new();
    checksum.update(kind);
    checksum.update(data);
    let length = u32::try_from(data.len()).unwrap().to_be_bytes();
    [&length, kind, data, &checksum.sum().to_be_bytes()].concat()
}

/// Puts chunks right after the header.
pub(crate) fn with_png_chunks(png: &[u8], chunks: &[Vec<u8>]) -> Vec<u8> {
    const HEADER_END: usize = 8 + 25;
    [&png[..HEADER_END], &chunks.concat(), &png[HEADER_END..]].concat()
}

pub(crate) fn png_header(width: u32, height: u32, bits: u8, colour: u8) -> Vec<u8> {
    let size = [width.to_be_bytes(), height.to_be_bytes()].concat();
    let header = png_chunk(b"IHDR", &[&size[..], &[bits, colour, 0, 0, 0]].concat());
    let rest = [png_chunk(b"IDAT", &[0x78, 0x9c]), png_chunk(b"IEND", &[])].concat();
    [b"\x89PNG\r\n\x1a\n", &header[..], &rest].concat()
}

pub(crate) fn webp_chunk(kind: &[u8], data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).unwrap().to_le_bytes();
    [kind, &length, data, &vec![0; data.len() % 2]].concat()
}

pub(crate) fn webp_container(chunks: &[Vec<u8>]) -> Vec<u8> {
    webp_chunk(b"RIFF", &[b"WEBP", &chunks.concat()[..]].concat())
}

pub(crate) fn webp_canvas(flags: u8, width: u32, height: u32) -> Vec<u8> {
    let mut data = vec![flags, 0, 0, 0];
    data.extend(&(width - 1).to_le_bytes()[..3]);
    data.extend(&(height - 1).to_le_bytes()[..3]);
    webp_chunk(b"VP8X", &data)
}

/// Wraps a simple WebP into the extended form, which can carry metadata.
pub(crate) fn with_webp_chunks(webp: &[u8], flags: u8, chunks: &[Vec<u8>]) -> Vec<u8> {
    let picture = image::load_from_memory(webp).unwrap();
    let canvas = webp_canvas(flags, picture.width(), picture.height());
    webp_container(&[canvas, webp[12..].to_vec(), chunks.concat()])
}

/// A TIFF of one strip, 8 bits a channel, with an orientation and a colour profile.
pub(crate) fn tiff_with(picture: &DynamicImage, orientation: u16, icc: &[u8]) -> Vec<u8> {
    tiff(false, picture, orientation, icc)
}

/// The same with counts and offsets of 64 bits.
pub(crate) fn big_tiff(picture: &DynamicImage) -> Vec<u8> {
    tiff(true, picture, 1, &[])
}

fn tiff(big: bool, picture: &DynamicImage, orientation: u16, icc: &[u8]) -> Vec<u8> {
    let rgb = picture.to_rgb8();
    let mut tags = vec![
        (258, shorts(&[8; 3])),
        (262, shorts(&[2])),
        (274, shorts(&[orientation])),
        (277, shorts(&[3])),
    ];
    if !icc.is_empty() {
        tags.push((34_675, (TIFF_BYTE, icc.to_vec())));
    }
    tiff_strip(big, rgb.dimensions(), rgb.as_raw(), tags)
}

/// A TIFF of indices into a palette of 2, 4, 16 or 256 colours, whose shades have 16 bits, or 8 as old
/// writers have it.
pub(crate) fn palette_tiff(
    size: (u32, u32),
    indices: &[u8],
    palette: &[[u8; 3]],
    bits: u8,
) -> Vec<u8> {
    let shade = |shade: u8| u16::from(shade) * if bits == 16 { 257 } else { 1 };
    let shades = |channel: usize| palette.iter().map(move |colour| shade(colour[channel]));
    let map: Vec<u16> = (0..3).flat_map(shades).collect();
    let depth = palette.len().ilog2() as usize;
    let rows = indices.chunks(size.0 as usize);
    let pixels: Vec<u8> = rows
        .flat_map(|row| row.chunks(8 / depth))
        .map(|together| {
            let shifted = together.iter().enumerate();
            shifted.fold(0, |byte, (at, index)| {
                byte | index << (8 - depth * (at + 1))
            })
        })
        .collect();
    let tags = vec![
        (258, shorts(&[depth as u16])),
        (262, shorts(&[3])),
        (277, shorts(&[1])),
        (320, shorts(&map)),
    ];
    tiff_strip(false, size, &pixels, tags)
}

const TIFF_BYTE: u16 = 1;
const TIFF_SHORT: u16 = 3;
const TIFF_LONG: u16 = 4;

/// The type of a tag, and its values.
type TiffValues = (u16, Vec<u8>);

fn shorts(values: &[u16]) -> TiffValues {
    (
        TIFF_SHORT,
        values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect(),
    )
}

fn long(value: u32) -> TiffValues {
    (TIFF_LONG, value.to_le_bytes().to_vec())
}

fn tiff_strip(
    big: bool,
    (width, height): (u32, u32),
    pixels: &[u8],
    mut tags: Vec<(u16, TiffValues)>,
) -> Vec<u8> {
    let word_len = if big { 8 } else { 4 };
    let word = |value: usize| (value as u64).to_le_bytes()[..word_len].to_vec();
    let mut body = vec![0; 2 * word_len];
    tags.extend([
        (256, long(width)),
        (257, long(height)),
        (259, shorts(&[1])),
        (273, long(body.len() as u32)),
        (278, long(height)),
        (279, long(pixels.len() as u32)),
    ]);
    tags.sort();
    body.extend(pixels);
    let mut directory = (tags.len() as u64).to_le_bytes()[..if big { 8 } else { 2 }].to_vec();
    for (tag, (kind, mut values)) in tags {
        let size = [1, 1, 2, 4][usize::from(kind) - 1];
        let count = word(values.len() / size);
        if values.len() > word_len {
            let at = word(body.len());
            body.extend(std::mem::replace(&mut values, at));
        }
        values.resize(word_len, 0);
        directory.extend([tag.to_le_bytes(), kind.to_le_bytes()].concat());
        directory.extend([count, values].concat());
    }
    directory.extend(word(0));
    let header = if big {
        &b"II\x2b\0\x08\0\0\0"[..]
    } else {
        b"II\x2a\0"
    };
    let header = [header, &word(body.len())].concat();
    body[..header.len()].copy_from_slice(&header);
    body.extend(directory);
    body
}

pub(crate) fn preset(name: &str, longest_side: u32, formats: &[OutputFormat]) -> Preset {
    Preset {
        quality: 90,
        ..Preset::new(name, longest_side, formats)
    }
}

pub(crate) const BOTH: &[OutputFormat] = &[OutputFormat::Jpeg, OutputFormat::WebP];

pub(crate) fn rendered(bytes: &[u8], presets: &[Preset]) -> Result<Rendered, RenderError> {
    render(bytes, None, presets, &Limits::default(), &|| false)
}

/// Renders one thumbnail of each format, 64 pixels at its longest side.
pub(crate) fn thumbnails(bytes: &[u8]) -> Rendered {
    rendered(bytes, &[preset("small", 64, BOTH)]).unwrap()
}

pub(crate) fn decoded(variant: &Variant) -> DynamicImage {
    let picture = image::load_from_memory(&variant.bytes).unwrap();
    assert_eq!(
        (picture.width(), picture.height()),
        (variant.width, variant.height)
    );
    picture
}

/// Fails unless the colours of the four corners are near: top left, top right, bottom left, bottom
/// right.
pub(crate) fn assert_corners(picture: &DynamicImage, corners: [[u8; 3]; 4], case: &str) {
    let picture = picture.to_rgb8();
    let (right, bottom) = (picture.width() * 3 / 4, picture.height() * 3 / 4);
    let (left, top) = (picture.width() / 4, picture.height() / 4);
    for ((x, y), expected) in [(left, top), (right, top), (left, bottom), (right, bottom)]
        .into_iter()
        .zip(corners)
    {
        let found = picture.get_pixel(x, y).0;
        let near = found
            .iter()
            .zip(expected)
            .all(|(found, expected)| found.abs_diff(expected) < 16);
        assert!(
            near,
            "{case}: at {x},{y} is {found:?} and should be {expected:?}"
        );
    }
}
