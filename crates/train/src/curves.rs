//! The history of a training as TensorBoard reads it: an event file, whose records are framed as TFRecords
//! (<https://www.tensorflow.org/tutorials/load_data/tfrecord>) and hold the protocol buffers `Event` and `Summary`.
//!
//! Times of events are their epochs, in seconds: a training that is run again gives the same bytes.

use std::path::Path;

use hemex_artifacts::{ArtifactError, HistoryRow};

/// Writes the event file of these epochs into the folder `curves`.
pub(crate) fn write(folder: &Path, history: &[HistoryRow]) -> Result<(), ArtifactError> {
    let folder = folder.join("curves");
    let path = folder.join(FILE_NAME);
    let written = std::fs::create_dir_all(&folder);
    let written = written.and_then(|()| std::fs::write(&path, events(history)));
    written.map_err(|source| ArtifactError::Io { path, source })
}

/// The name is that of an event file for every reader; time and machine, which it usually holds, are left out.
const FILE_NAME: &str = "events.out.tfevents.0.hemex";

/// The event file of these epochs. That of more epochs begins with the same bytes, so that a reader may follow it.
fn events(history: &[HistoryRow]) -> Vec<u8> {
    let mut file = record(&event(0, &field_bytes(3, b"brain.Event:2")));
    for row in history {
        let values = [
            ("loss/train", Some(row.train_loss)),
            ("loss/train, mask", row.train_loss_mask),
            ("loss/train, label", Some(row.train_loss_label)),
            ("loss/train, align", row.train_loss_align),
            ("loss/train, follow-up", row.train_loss_followup),
            ("loss/validation", Some(row.val_loss)),
            ("validation/Dice", row.val_dice),
            ("validation/AUROC", row.val_auroc),
            ("learning rate", Some(row.learning_rate)),
        ];
        let known = values.into_iter().filter_map(|(tag, value)| Some((tag, value?)));
        let summary: Vec<u8> = known.flat_map(|(tag, value)| summary_value(tag, value)).collect();
        file.extend(record(&event(row.epoch + 1, &field_bytes(5, &summary))));
    }
    file
}

/// `Event`: wall time, step, and what happened. Fields of 0 are left out, as the format has it.
fn event(step: usize, what: &[u8]) -> Vec<u8> {
    let mut event = Vec::new();
    if step > 0 {
        event.push(1 << 3 | 1);
        event.extend((step as f64).to_le_bytes());
        event.push(2 << 3);
        event.extend(varint(step as u64));
    }
    event.extend(what);
    event
}

/// A `Summary.Value` with its tag, as a field of `Summary`.
fn summary_value(tag: &str, value: f64) -> Vec<u8> {
    let mut message = field_bytes(1, tag.as_bytes());
    message.push(2 << 3 | 5);
    message.extend((value as f32).to_le_bytes());
    field_bytes(1, &message)
}

fn field_bytes(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    field.extend(varint(bytes.len() as u64));
    field.extend(bytes);
    field
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut record = length.to_vec();
    record.extend(masked_crc(&length).to_le_bytes());
    record.extend(data);
    record.extend(masked_crc(data).to_le_bytes());
    record
}

fn masked_crc(data: &[u8]) -> u32 {
    crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// The checksum of Castagnoli's polynomial (RFC 3720, appendix B.4).
fn crc32c(data: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
    !data.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(epoch: usize) -> HistoryRow {
        HistoryRow {
            epoch,
            learning_rate: 0.5,
            train_loss: 1.25,
            train_loss_mask: None,
            train_loss_label: 0.75,
            train_loss_align: None,
            train_loss_followup: None,
            val_loss: 0.875,
            val_dice: None,
            val_auroc: Some(0.625),
            n_val: 3,
        }
    }

    #[test]
    fn the_checksum_is_that_of_the_standard() {
        // RFC 3720, B.4: 32 bytes of zeros, of ones, rising.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc32c(&std::array::from_fn::<u8, 32, _>(|i| i as u8)), 0x46dd_794e);
    }

    #[test]
    fn a_longer_history_begins_with_the_same_bytes() {
        let (one, two) = (events(&[row(0)]), events(&[row(0), row(1)]));
        assert!(two.len() > one.len() && two.starts_with(&one));
        assert_eq!(varint(300), [0xac, 0x02]);
    }

    #[test]
    fn what_an_epoch_has_no_value_of_has_no_curve() {
        let tags = |row: HistoryRow| {
            let file = events(&[row]);
            let tag = b"loss/train, follow-up";
            file.windows(tag.len()).filter(|part| part == tag).count()
        };
        assert_eq!(tags(row(0)), 0);
        assert_eq!(tags(HistoryRow { train_loss_followup: Some(0.5), ..row(0) }), 1);
    }

    #[test]
    fn the_file_is_that_which_tensorboard_reads() {
        // `tests/reference/curves.py` reads the file with TensorBoard and prints this digest of its bytes.
        assert_eq!(hemex_stage::digest::bytes(&events(&[row(0), row(1)])), EXPECTED);
    }

    const EXPECTED: &str = "68fa2cef3c44321ebab9a3a786a835992a6e381dc55730c9078dccc1a8535b67";
}
