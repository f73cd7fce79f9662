//! The reconstruction kernel, as far as a file names it, and whether it is soft or sharp.

use serde::{Deserialize, Serialize};

/// The name's first word, if it is one that makers give kernels: a free text might hold anything, a
/// patient's name too.
pub(crate) fn known(name: &str) -> Option<String> {
    sharpness(name).map(|_| first_word(name).to_owned())
}

fn first_word(name: &str) -> &str {
    name.trim().split([' ', '\\', '/']).next().unwrap_or_default()
}

/// What a reconstruction is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sharpness {
    /// Brain and soft tissue: little noise.
    Soft,
    /// Bone: sharp, noisy.
    Bone,
}

/// The kind of a kernel by its name, as makers name them; `None` for a name that tells nothing.
///
/// Siemens: a letter, then a number that grows with sharpness (`H31s`, `Hr68`); Canon and Toshiba:
/// `FC` and a number, of which 30–39 and 80–89 are bone; GE and Philips: words and letters. (The
/// makers' conformance statements and operator manuals.)
pub(crate) fn sharpness(name: &str) -> Option<Sharpness> {
    let name = first_word(name).to_ascii_uppercase();
    let word = name.as_str();
    match word {
        "STANDARD" | "STD" | "STD+" | "STND" | "SOFT" | "BRAIN" | "SMOOTH" | "UA" | "UB" | "UC"
        | "A" | "B" | "C" | "EA" | "EB" => return Some(Sharpness::Soft),
        "BONE" | "BONE+" | "BONEPLUS" | "EDGE" | "LUNG" | "DETAIL" | "SHARP" | "D" | "E" | "EC"
        | "YA" | "YB" | "YC" | "YD" | "L" => return Some(Sharpness::Bone),
        _ => (),
    }
    let letters = word.bytes().take_while(u8::is_ascii_alphabetic).count();
    let digits: String = word[letters..].chars().take_while(char::is_ascii_digit).take(2).collect();
    let number: u32 = digits.parse().ok()?;
    // At most one more letter, as in `H31s`.
    let rest = &word[letters + digits.len()..];
    if rest.len() > 1 || !rest.bytes().all(|b| b.is_ascii_alphabetic()) {
        return None;
    }
    let is_bone = match &word[..letters] {
        "FC" => (30..40).contains(&number) || (80..90).contains(&number),
        "H" | "J" | "B" | "I" | "HR" | "HC" | "BR" | "BF" | "BL" | "HF" if number >= 10 => {
            number >= 50
        }
        _ => return None,
    };
    Some(if is_bone { Sharpness::Bone } else { Sharpness::Soft })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_no_maker_gives_stay_here() {
        assert_eq!(known(" H31s "), Some("H31s".to_owned()));
        assert_eq!(known("Hr40f\\3"), Some("Hr40f".to_owned()));
        assert_eq!(known("STD+"), Some("STD+".to_owned()));
        for foreign in ["kernel of Mrs Miller", "Miller", "<b>", "", "H31Miller", "H19800229"] {
            assert_eq!(known(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn names_tell_soft_from_bone() {
        for soft in ["H31s", "J30s", "UB", "STANDARD", "FC21", "Hr36f", "Hc40s\\3", "SOFT"] {
            assert_eq!(sharpness(soft), Some(Sharpness::Soft), "{soft}");
        }
        for bone in ["H60s", "J70h", "BONEPLUS", "FC30", "FC81", "Hr68", "YB", "bone"] {
            assert_eq!(sharpness(bone), Some(Sharpness::Bone), "{bone}");
        }
        for unknown in ["", "XYZ", "H3", "é", "FC", "7"] {
            assert_eq!(sharpness(unknown), None, "{unknown}");
        }
    }
}
