//! TLS presentation language written by hand: the other opinion that our codec is compared with.

/// `opaque x<V>` or `T x<V>`: the shortest length prefix of RFC 9420 §2.1.2, then the content.
pub fn vector(content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut bytes = if length < 1 << 6 {
        vec![length as u8]
    } else if length < 1 << 14 {
        vec![0x40 | (length >> 8) as u8, length as u8]
    } else {
        assert!(length < 1 << 30);
        vec![0x80 | (length >> 24) as u8, (length >> 16) as u8, (length >> 8) as u8, length as u8]
    };
    bytes.extend_from_slice(content);
    bytes
}

/// `opaque uri<V>`.
pub fn uri(text: &str) -> Vec<u8> {
    vector(text.as_bytes())
}

/// Everything one after the other.
pub fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// Bytes from hexadecimal digits.
pub fn hex(digits: &str) -> Vec<u8> {
    assert!(digits.len().is_multiple_of(2), "an even number of digits: {digits}");
    (0..digits.len() / 2)
        .map(|i| u8::from_str_radix(&digits[2 * i..2 * i + 2], 16).expect("hexadecimal"))
        .collect()
}

/// Hexadecimal digits of bytes.
pub fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
