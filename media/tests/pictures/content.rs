//! What kind of file a picture comes in makes no difference to what is seen.

use std::cell::Cell;

use image::{DynamicImage, ImageBuffer, ImageFormat, Luma, Rgb, RgbImage, Rgba, RgbaImage};
use iyagi_media::{Colour, Format, Limits, OutputFormat, RenderError, probe, render};
use webp::{AnimEncoder, AnimFrame, WebPConfig};

use crate::sample::{
    BOTH, CORNERS, YELLOW, assert_corners, big_tiff, decoded, file, gif, jpeg, palette_tiff, png,
    preset, quadrants, rendered, thumbnails, webp,
};

#[test]
fn every_format_and_depth_gives_the_same_thumbnails() {
    let picture = quadrants(160, 120);
    let sixteen_bits = DynamicImage::from(picture.to_rgb16());
    let transparent = DynamicImage::from(picture.to_rgba16());
    for (case, bytes) in [
        ("jpeg", jpeg(&picture)),
        ("png", png(&picture)),
        ("png, 16 bits", png(&sixteen_bits)),
        ("png, 16 bits and alpha", png(&transparent)),
        ("webp", webp(&picture)),
        ("gif", gif(&[picture.to_rgba8()])),
        ("bmp", file(&picture, ImageFormat::Bmp)),
        ("tiff", file(&picture, ImageFormat::Tiff)),
        ("tiff, 16 bits", file(&sixteen_bits, ImageFormat::Tiff)),
        (
            "tiff, 16 bits and alpha",
            file(&transparent, ImageFormat::Tiff),
        ),
        ("tiff, 64-bit offsets", big_tiff(&picture)),
        ("tiff, palette", quadrants_by_palette(16)),
        ("tiff, palette of bytes", quadrants_by_palette(8)),
    ] {
        let thumbnails = thumbnails(&bytes);
        assert!(
            !thumbnails.source.animated && !thumbnails.source.colour_approximated,
            "{case}"
        );
        assert_eq!(thumbnails.variants.len(), 2);
        for variant in &thumbnails.variants {
            assert_corners(&decoded(variant), CORNERS, case);
        }
    }
}

/// A TIFF whose colours stand at both ends of its palette.
fn quadrants_by_palette(bits: u8) -> Vec<u8> {
    let picture = quadrants(160, 120).to_rgb8();
    let mut palette = [[0; 3]; 256];
    let at = [0, 1, 254, 255];
    for (index, colour) in at.into_iter().zip(CORNERS) {
        palette[index] = colour;
    }
    let indices: Vec<u8> = picture
        .pixels()
        .map(|pixel| {
            palette
                .iter()
                .position(|colour| *colour == pixel.0)
                .unwrap() as u8
        })
        .collect();
    palette_tiff((160, 120), &indices, &palette, bits)
}

#[test]
fn indices_that_share_a_byte_are_the_pixels_that_they_are_in_png() {
    // A row ends in the middle of a byte.
    let (width, height) = (13, 9);
    for depth in [1, 2, 4] {
        let colours = 1_u32 << depth;
        let colour =
            |index: u32| [index * 255 / (colours - 1), index * 7 % 256, 200].map(|c| c as u8);
        let palette: Vec<_> = (0..colours).map(colour).collect();
        let index = |x: u32, y: u32| (x * 5 + y * 3) % colours;
        let at = |y: u32| (0..width).map(move |x| index(x, y) as u8);
        let indices: Vec<u8> = (0..height).flat_map(at).collect();
        let picture = RgbImage::from_fn(width, height, |x, y| Rgb(colour(index(x, y))));
        let presets = [preset("same", 16, BOTH)];
        let tiff = rendered(
            &palette_tiff((width, height), &indices, &palette, 16),
            &presets,
        );
        let png = rendered(&png(&picture.into()), &presets).unwrap();
        let tiff = tiff.unwrap();
        for (tiff, png) in tiff.variants.iter().zip(&png.variants) {
            assert_eq!((tiff.width, tiff.height), (width, height));
            assert_eq!(tiff.bytes, png.bytes, "{depth} bits");
        }
    }
}

#[test]
fn a_palette_that_is_cut_short_is_refused() {
    let mut tiff = quadrants_by_palette(16);
    let map = tiff
        .windows(2)
        .rposition(|tag| tag == 320u16.to_le_bytes())
        .unwrap();
    tiff[map + 4..map + 8].copy_from_slice(&700u32.to_le_bytes());
    let refusal = rendered(&tiff, &[]).unwrap_err();
    assert_eq!(refusal.reason_code(), "corrupt");
    assert!(refusal.to_string().contains("palette"), "{refusal}");
}

#[test]
fn grey_stays_grey() {
    let ramp = |x: u32| (x * 255 / 159) as u8;
    let grey = DynamicImage::from(ImageBuffer::from_fn(160, 120, |x, _| Luma([ramp(x)])));
    let corners = [[64; 3], [191; 3], [64; 3], [191; 3]];
    for bytes in [
        png(&grey),
        jpeg(&grey),
        png(&grey.to_luma16().into()),
        file(&grey, ImageFormat::Tiff),
    ] {
        assert_eq!(probe(&bytes).unwrap().colour, Colour::Gray);
        assert_corners(&decoded(&thumbnails(&bytes).variants[0]), corners, "grey");
    }
}

#[test]
fn a_cmyk_jpeg_is_converted_and_says_so() {
    // Ink where a colour is missing, none where it is there.
    let inks: Vec<u8> = quadrants(160, 120)
        .to_rgb8()
        .pixels()
        .flat_map(|p| [!p[0], !p[1], !p[2], 0])
        .collect();
    for colour in [
        jpeg_encoder::ColorType::Cmyk,
        jpeg_encoder::ColorType::CmykAsYcck,
    ] {
        let mut bytes = Vec::new();
        jpeg_encoder::Encoder::new(&mut bytes, 95)
            .encode(&inks, 160, 120, colour)
            .unwrap();
        let thumbnails = thumbnails(&bytes);
        assert_eq!(thumbnails.source.colour, Colour::Cmyk);
        assert!(thumbnails.source.colour_approximated);
        assert_corners(
            &decoded(&thumbnails.variants[0]),
            CORNERS,
            &format!("{colour:?}"),
        );
    }
}

#[test]
fn an_animation_shows_its_first_frame_that_is_not_blank() {
    let blank = RgbaImage::from_pixel(160, 120, Rgba([255; 4]));
    let shown = quadrants(160, 120).to_rgba8();
    let last = RgbaImage::from_pixel(160, 120, Rgba([9, 9, 9, 255]));
    let frames = [blank.clone(), shown, last];

    let config = WebPConfig::new().unwrap();
    let mut animation = AnimEncoder::new(160, 120, &config);
    for (frame, at) in frames.iter().zip([0, 100, 200]) {
        animation.add_frame(AnimFrame::from_rgba(frame, 160, 120, at));
    }

    for (format, bytes) in [
        (Format::Gif, gif(&frames)),
        (Format::WebP, animation.encode().to_vec()),
    ] {
        let probe = probe(&bytes).unwrap();
        assert_eq!(
            (probe.format, probe.animated, probe.frames),
            (format, true, 3)
        );
        let thumbnails = thumbnails(&bytes);
        assert!(thumbnails.source.animated);
        assert_corners(
            &decoded(&thumbnails.variants[0]),
            CORNERS,
            &format.to_string(),
        );
    }

    let only_blank = thumbnails(&gif(&[blank.clone(), blank]));
    assert_corners(
        &decoded(&only_blank.variants[0]),
        [[255; 3]; 4],
        "only blank frames",
    );
}

#[test]
fn the_search_for_a_frame_that_is_not_blank_ends() {
    let blank = RgbaImage::from_pixel(16, 12, Rgba([255; 4]));
    let frames = [blank.clone(), blank, quadrants(16, 12).to_rgba8()];
    let limits = Limits {
        frames_pixels_max: 2 * 16 * 12,
        ..Limits::default()
    };
    let shown = render(
        &gif(&frames),
        None,
        &[preset("small", 64, BOTH)],
        &limits,
        &|| false,
    )
    .unwrap();
    assert_corners(&decoded(&shown.variants[0]), [[255; 3]; 4], "the first");
}

#[test]
fn transparent_pixels_show_the_background_and_leave_no_fringe() {
    // Visible red beside invisible green, which must not be seen anywhere.
    let picture = RgbaImage::from_fn(320, 240, |x, _| {
        if x < 160 {
            Rgba([255, 0, 0, 255])
        } else {
            Rgba([0, 255, 0, 0])
        }
    });
    let mut small = preset("small", 64, BOTH);
    small.background = [0, 0, 255];
    let thumbnails = rendered(&png(&picture.into()), &[small]).unwrap();
    assert_eq!(thumbnails.dominant_colour, [255, 0, 0]);

    let [flat, transparent] = &thumbnails.variants[..] else {
        panic!("one of each format")
    };
    let (red, blue) = ([254, 0, 0], [0, 0, 254]);
    assert_corners(&decoded(flat), [red, blue, red, blue], "flattened");
    assert!(
        decoded(flat).to_rgb8().pixels().all(|pixel| pixel[1] < 40),
        "no green fringe"
    );

    let transparent = decoded(transparent).to_rgba8();
    assert_eq!(transparent.get_pixel(10, 20)[3], 255);
    assert_eq!(transparent.get_pixel(60, 20)[3], 0);
    assert!(
        transparent
            .pixels()
            .all(|pixel| pixel[3] == 0 || pixel[1] < 40),
        "no green fringe"
    );
}

#[test]
fn a_small_picture_keeps_its_size() {
    let thumbnails = rendered(&png(&quadrants(40, 30)), &[preset("large", 1080, BOTH)]).unwrap();
    for variant in &thumbnails.variants {
        assert_eq!((variant.width, variant.height), (40, 30));
    }
    let dot = rendered(&png(&quadrants(1, 1)), &[preset("large", 1080, BOTH)]).unwrap();
    assert_eq!(dot.dominant_colour, YELLOW);
}

#[test]
fn a_line_of_pixels_keeps_a_side_of_one() {
    for (width, height) in [(5_000, 1), (1, 5_000)] {
        let thumbnails = thumbnails(&png(&quadrants(width, height)));
        let (width, height) = (width.min(64), height.min(64));
        assert!(
            thumbnails
                .variants
                .iter()
                .all(|v| (v.width, v.height) == (width, height))
        );
    }
}

#[test]
fn variants_follow_the_order_of_presets_and_formats() {
    let presets = [
        preset("avatar", 32, &[OutputFormat::WebP]),
        preset("feed", 100, BOTH),
        preset("again", 100, &[OutputFormat::Jpeg]),
    ];
    let made = rendered(&png(&quadrants(160, 120)), &presets)
        .unwrap()
        .variants;
    let made: Vec<_> = made
        .iter()
        .map(|v| (&v.preset[..], v.format, v.width))
        .collect();
    let expected = [
        ("avatar", OutputFormat::WebP, 32),
        ("feed", OutputFormat::Jpeg, 100),
        ("feed", OutputFormat::WebP, 100),
        ("again", OutputFormat::Jpeg, 100),
    ];
    assert_eq!(made, expected);
}

#[test]
fn the_same_bytes_and_presets_give_the_same_thumbnails() {
    let bytes = jpeg(&quadrants(300, 200));
    let presets = [preset("feed", 200, BOTH), preset("avatar", 50, BOTH)];
    let first = rendered(&bytes, &presets).unwrap();
    assert_eq!(first, rendered(&bytes, &presets).unwrap());
}

#[test]
fn a_render_stops_where_it_is_cancelled() {
    let bytes = png(&quadrants(800, 600));
    let presets = [preset("feed", 200, BOTH), preset("avatar", 50, BOTH)];
    let cancelled_after = |polls: u32| {
        let left = Cell::new(polls);
        let cancel = || left.replace(left.get().saturating_sub(1)) == 0;
        render(&bytes, None, &presets, &Limits::default(), &cancel)
    };
    let polls = (0..10_000)
        .find(|polls| cancelled_after(*polls).is_ok())
        .unwrap();
    assert!(polls > 10, "asked only {polls} times");
    for earlier in 0..polls {
        let error = cancelled_after(earlier).unwrap_err();
        assert_eq!(error, RenderError::Cancelled);
        assert!(!error.deterministic());
    }
}

#[test]
fn a_preset_that_cannot_be_made_is_not_the_fault_of_the_picture() {
    let error = rendered(&png(&quadrants(8, 8)), &[preset("poster", 20_000, BOTH)]).unwrap_err();
    assert_eq!(error.reason_code(), "bad_preset");
    assert_eq!(
        error.to_string(),
        "preset \"poster\": longest_side is 20000; give 1 to 16383"
    );
}
