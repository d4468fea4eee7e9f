//! Writes pictures in HEIF, of whatever is coded.

const ALPHA: &[u8] = b"\0\0\0\0urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0";

pub(super) struct Item {
    pub(super) kind: [u8; 4],
    bytes: Vec<u8>,
    /// And whether each is essential.
    properties: Vec<(Vec<u8>, bool)>,
    /// To items, by their places.
    references: Vec<([u8; 4], Vec<usize>)>,
}

impl Item {
    pub(super) fn coded(bytes: &[u8], size: (u32, u32)) -> Self {
        Self {
            kind: *b"av01",
            bytes: bytes.to_vec(),
            properties: vec![
                (ispe(size.0, size.1), false),
                (iso_box(*b"av1C", b"\x81\0\0\0"), true),
            ],
            references: Vec::new(),
        }
    }

    pub(super) fn grid(columns: u8, rows: u8, size: (u32, u32), tiles: Vec<usize>) -> Self {
        let sides = numbers(&[size.0 as u16, size.1 as u16]);
        Self {
            kind: *b"grid",
            bytes: [&[0, 0, rows - 1, columns - 1], &sides[..]].concat(),
            properties: vec![(ispe(size.0, size.1), false)],
            references: vec![(*b"dimg", tiles)],
        }
    }

    fn is_grid(&self) -> bool {
        self.kind == *b"grid"
    }

    pub(super) fn with(mut self, property: Vec<u8>) -> Self {
        self.properties.push((property, true));
        self
    }

    pub(super) fn alpha_of(mut self, other: usize) -> Self {
        self.references.push((*b"auxl", vec![other]));
        self.with(iso_box(*b"auxC", ALPHA))
    }
}

/// A file whose first item is shown. Grids, which are small, lie beside what is said of them.
pub(super) fn avif(items: &[Item]) -> Vec<u8> {
    let bytes_of = |grids: bool| -> Vec<u8> {
        let items = items.iter().filter(|item| item.is_grid() == grids);
        items.flat_map(|item| item.bytes.clone()).collect()
    };
    let ftyp = iso_box(*b"ftyp", b"avif\0\0\0\0avifmif1miaf");
    let begin = ftyp.len() + meta(items, &bytes_of(true), 0).len() + 8;
    let meta = meta(items, &bytes_of(true), begin);
    [ftyp, meta, iso_box(*b"mdat", &bytes_of(false))].concat()
}

/// What is said of items, the bytes of which begin at `begin`.
fn meta(items: &[Item], idat: &[u8], begin: usize) -> Vec<u8> {
    let id = |at: usize| at as u16 + 1;
    let count = items.len() as u16;
    let mut infe = numbers(&[count]);
    let mut iloc = numbers(&[0x4400, count]);
    let mut ipma = u32::from(count).to_be_bytes().to_vec();
    let (mut ipco, mut iref) = (Vec::new(), Vec::new());
    let (mut properties, mut beside, mut behind) = (0, 0, begin);
    for (at, item) in items.iter().enumerate() {
        let entry = [&numbers(&[id(at), 0])[..], &item.kind, b"\0"].concat();
        infe.extend(full_box(*b"infe", 2, &entry));
        ipma.extend(numbers(&[id(at)]));
        ipma.push(item.properties.len() as u8);
        for (property, essential) in &item.properties {
            ipco.extend_from_slice(property);
            properties += 1;
            ipma.push(properties | u8::from(*essential) << 7);
        }
        for (kind, to) in &item.references {
            let to: Vec<u16> = to.iter().map(|at| id(*at)).collect();
            let head = [id(at), to.len() as u16];
            iref.extend(iso_box(*kind, &numbers(&[&head[..], &to].concat())));
        }
        let place = if item.is_grid() {
            &mut beside
        } else {
            &mut behind
        };
        iloc.extend(numbers(&[id(at), u16::from(item.is_grid()), 0, 1]));
        iloc.extend((*place as u32).to_be_bytes());
        iloc.extend((item.bytes.len() as u32).to_be_bytes());
        *place += item.bytes.len();
    }
    let properties = [iso_box(*b"ipco", &ipco), full_box(*b"ipma", 0, &ipma)];
    let body = [
        full_box(*b"hdlr", 0, b"\0\0\0\0pict\0\0\0\0\0\0\0\0\0\0\0\0\0"),
        full_box(*b"pitm", 0, &numbers(&[1])),
        full_box(*b"iloc", 1, &iloc),
        full_box(*b"iinf", 0, &infe),
        iso_box(*b"iprp", &properties.concat()),
        full_box(*b"iref", 0, &iref),
        iso_box(*b"idat", idat),
    ];
    full_box(*b"meta", 0, &body.concat())
}

pub(super) fn iso_box(kind: [u8; 4], body: &[u8]) -> Vec<u8> {
    let size = (body.len() + 8) as u32;
    [&size.to_be_bytes()[..], &kind, body].concat()
}

fn full_box(kind: [u8; 4], version: u8, body: &[u8]) -> Vec<u8> {
    iso_box(kind, &[&[version, 0, 0, 0], body].concat())
}

/// Each in two bytes.
pub(super) fn numbers(numbers: &[u16]) -> Vec<u8> {
    numbers
        .iter()
        .flat_map(|number| number.to_be_bytes())
        .collect()
}

fn ispe(width: u32, height: u32) -> Vec<u8> {
    full_box(
        *b"ispe",
        0,
        &[width.to_be_bytes(), height.to_be_bytes()].concat(),
    )
}
