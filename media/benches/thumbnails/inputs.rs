//! The uploads that are measured, all made from one photograph.

use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};
use image::imageops::FilterType;
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use moxcms::{ColorProfile, Layout, TransformOptions};

use crate::scans::{Quantised, USUAL};

pub(crate) struct Input {
    pub(crate) name: &'static str,
    pub(crate) file: PathBuf,
    /// What the thumbnails are encoded as.
    pub(crate) format: &'static str,
    /// The picture in full, in sRGB: what every thumbnail should look like.
    pub(crate) picture: PathBuf,
}

const MEGAPIXELS_12: (u32, u32) = (4032, 3024);

/// Writes the inputs into a folder and says where they are.
pub(crate) fn make(folder: &Path) -> Vec<Input> {
    let (source, original) = photograph();
    println!("photograph: {source}");
    let whole = image::load_from_memory(&original).expect("a photograph is a picture");
    let whole = DynamicImage::from(whole.to_rgb8());
    let (p3, srgb) = (ColorProfile::new_display_p3(), ColorProfile::new_srgb());
    let smaller = |megapixels: f64| {
        let scale =
            (megapixels * 1e6 / f64::from(whole.width()) / f64::from(whole.height())).sqrt();
        let side = |side: u32| (f64::from(side) * scale).round() as u32;
        whole.resize_exact(
            side(whole.width()),
            side(whole.height()),
            FilterType::Lanczos3,
        )
    };
    let (six, four, two) = (smaller(6.0), smaller(4.0), smaller(2.0));
    let plain = baseline(&original).unwrap_or_else(|| jpeg(&whole));
    let input = |name, ending: &str, bytes: Vec<u8>, format, seen: &DynamicImage| {
        let file = folder.join(format!("{}.{ending}", str::replace(name, " ", "-")));
        std::fs::write(&file, bytes).expect("the folder takes a file");
        let picture = file.with_extension("seen.png");
        seen.save(&picture).expect("the folder takes a file");
        Input {
            name,
            file,
            format,
            picture,
        }
    };
    let decoded = |bytes: &[u8]| image::load_from_memory(bytes).expect("made above");
    let p12 = decoded(&plain);
    let in_p3 = with_profile(&plain, &p3);
    let in_srgb_tagged = with_profile(&plain, &srgb);
    // As libjpeg writes it, and most of what is found: the encoder at hand refines nothing.
    let progressive = Quantised::new(&whole.to_rgb8(), (2, 2), 4).file(USUAL, 0);
    let (jpeg_6, jpeg_2) = (jpeg(&six), jpeg(&two));
    let webp =
        webp::Encoder::from_rgb(four.as_rgb8().expect("8 bits"), four.width(), four.height())
            .encode(80.0)
            .to_vec();
    let mut png = std::io::Cursor::new(Vec::new());
    four.write_to(&mut png, ImageFormat::Png)
        .expect("memory takes a file");
    let png = png.into_inner();
    let seen_webp = decoded(&webp);
    vec![
        input("12 MP baseline", "jpg", plain.clone(), "jpeg", &p12),
        input(
            "6 MP baseline",
            "jpg",
            jpeg_6.clone(),
            "jpeg",
            &decoded(&jpeg_6),
        ),
        input(
            "2 MP baseline",
            "jpg",
            jpeg_2.clone(),
            "jpeg",
            &decoded(&jpeg_2),
        ),
        input(
            "12 MP Display P3",
            "jpg",
            in_p3,
            "jpeg",
            &in_srgb(&p12, &p3),
        ),
        input("12 MP sRGB", "jpg", in_srgb_tagged, "jpeg", &p12),
        input(
            "12 MP progressive",
            "jpg",
            progressive.clone(),
            "jpeg",
            &decoded(&progressive),
        ),
        input("4 MP PNG", "png", png.clone(), "jpeg", &four),
        input(
            "4 MP PNG sRGB",
            "png",
            png_with_profile(&png, &srgb),
            "jpeg",
            &four,
        ),
        input("4 MP WebP", "webp", webp, "jpeg", &seen_webp),
        input("12 MP to WebP", "jpg", plain, "webp", &p12),
    ]
}

/// The largest JPEG of the folder that `BENCH_PHOTOS` names, or one made of a small photograph.
fn photograph() -> (String, Vec<u8>) {
    if let Some(folder) = std::env::var_os("BENCH_PHOTOS") {
        let files = std::fs::read_dir(&folder).expect("BENCH_PHOTOS names a folder");
        let largest = files
            .filter_map(|file| std::fs::read(file.ok()?.path()).ok())
            .filter(|bytes| bytes.starts_with(b"\xff\xd8\xff"))
            .max_by_key(Vec::len)
            .expect("BENCH_PHOTOS has a JPEG");
        return (
            format!("a JPEG of {} bytes from BENCH_PHOTOS", largest.len()),
            largest,
        );
    }
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../demo/media/posts/story-deep-sky/deep-field.jpg"
    );
    let small = image::open(path).expect("the demo has its photographs");
    let (width, height) = MEGAPIXELS_12;
    let mut large = small
        .resize_exact(width, height, FilterType::CatmullRom)
        .to_rgb8();
    add_grain(&mut large);
    let note = "one of the demo enlarged, with grain (BENCH_PHOTOS names a folder of real ones)";
    (note.to_owned(), jpeg(&large.into()))
}

/// Noise as of a sensor, without which an enlarged picture costs a decoder too little.
fn add_grain(picture: &mut RgbImage) {
    let mut random = fastrand::Rng::with_seed(7);
    for Rgb(pixel) in picture.pixels_mut() {
        let grain = random.i16(-5..=5) + random.i16(-5..=5);
        *pixel = pixel.map(|sample| (i16::from(sample) + grain).clamp(0, 255) as u8);
    }
}

/// A baseline JPEG without its segments of metadata, so that no profile is left.
fn baseline(jpeg: &[u8]) -> Option<Vec<u8>> {
    let mut plain = vec![0xff, 0xd8];
    let mut at = 2;
    loop {
        let [0xff, marker, high, low] = *jpeg.get(at..)?.first_chunk()? else {
            return None;
        };
        let end = at + 2 + usize::from(u16::from_be_bytes([high, low]));
        match marker {
            0xda => {
                plain.extend(&jpeg[at..]);
                return Some(plain);
            }
            0xc1..=0xc3 | 0xc5..=0xcf => return None,
            0xe0..=0xef | 0xfe => {}
            _ => plain.extend(jpeg.get(at..end)?),
        }
        at = end;
    }
}

fn with_profile(jpeg: &[u8], profile: &ColorProfile) -> Vec<u8> {
    let icc = profile.encode().expect("a profile of moxcms's own");
    let length = u16::try_from(icc.len() + 16).expect("a small profile");
    let mut tagged = vec![0xff, 0xd8, 0xff, 0xe2];
    tagged.extend(length.to_be_bytes());
    tagged.extend(b"ICC_PROFILE\0\x01\x01");
    tagged.extend(icc);
    tagged.extend(&jpeg[2..]);
    tagged
}

fn png_with_profile(png: &[u8], profile: &ColorProfile) -> Vec<u8> {
    const HEADER_END: usize = 8 + 25;
    let icc = profile.encode().expect("a profile of moxcms's own");
    let mut zlib = ZlibEncoder::new(b"iCCPprofile\0\0".to_vec(), Compression::default());
    zlib.write_all(&icc).expect("memory takes a profile");
    let chunk = zlib.finish().expect("memory takes a profile");
    let mut checksum = Crc::new();
    checksum.update(&chunk);
    let mut tagged = png[..HEADER_END].to_vec();
    tagged.extend((chunk.len() as u32 - 4).to_be_bytes());
    tagged.extend(chunk);
    tagged.extend(checksum.sum().to_be_bytes());
    tagged.extend(&png[HEADER_END..]);
    tagged
}

fn jpeg(picture: &DynamicImage) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, 92);
    encoder.set_sampling_factor(SamplingFactor::R_4_2_0);
    let (width, height) = (picture.width() as u16, picture.height() as u16);
    encoder
        .encode(picture.as_bytes(), width, height, ColorType::Rgb)
        .expect("memory takes a file");
    file
}

fn in_srgb(picture: &DynamicImage, profile: &ColorProfile) -> DynamicImage {
    let rgb = picture.to_rgb8();
    let srgb = ColorProfile::new_srgb();
    let transform = profile
        .create_transform_8bit(Layout::Rgb, &srgb, Layout::Rgb, TransformOptions::default())
        .expect("both are profiles of lights");
    let mut samples = vec![0; rgb.len()];
    transform
        .transform(&rgb, &mut samples)
        .expect("as many samples as before");
    RgbImage::from_raw(rgb.width(), rgb.height(), samples)
        .expect("as many samples as before")
        .into()
}
