//! E-mail addresses, as they are used: RFC 5321 without quoted local parts and address literals.

pub(super) fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else {
        return false;
    };
    let local_ok =
        !local.is_empty() && local.len() <= 64 && local.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(is_atom_byte));
    let labels: Vec<&str> = domain.split('.').collect();
    let top_ok = labels.last().is_some_and(|top| top.len() >= 2 && top.bytes().all(|byte| byte.is_ascii_alphabetic()));
    local_ok && top_ok && labels.len() >= 2 && domain.len() <= 253 && labels.iter().all(|label| is_label(label))
}

fn is_atom_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte)
}

fn is_label(label: &str) -> bool {
    let inner_ok = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    inner_ok && !label.is_empty() && label.len() <= 63 && !label.starts_with('-') && !label.ends_with('-')
}
