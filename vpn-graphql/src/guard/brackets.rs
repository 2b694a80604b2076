//! How deep a document's brackets nest, told without parsing it.

/// False when `{`, `[` and `(` nest deeper than `max`.
///
/// async-graphql's parser recurses without a limit on list and object values: some 1,500 `[`, a
/// document of 3 KB, overflow a thread's stack, and a stack overflow ends the whole process. So
/// this runs first; it is one pass, and skips what brackets mean nothing in.
pub(super) fn nest_within(document: &str, max: usize) -> bool {
    let mut depth = 0_usize;
    let mut rest = document.as_bytes();
    loop {
        rest = match rest {
            [] => return true,
            [b'#', tail @ ..] => after_comment(tail),
            [b'"', b'"', b'"', tail @ ..] => after_block_string(tail),
            [b'"', tail @ ..] => after_string(tail),
            [b'{' | b'[' | b'(', tail @ ..] => {
                depth += 1;
                if depth > max {
                    return false;
                }
                tail
            }
            [b'}' | b']' | b')', tail @ ..] => {
                depth = depth.saturating_sub(1);
                tail
            }
            [_, tail @ ..] => tail,
        };
    }
}

fn after_comment(mut rest: &[u8]) -> &[u8] {
    while let [byte, tail @ ..] = rest {
        if matches!(byte, b'\n' | b'\r') {
            break;
        }
        rest = tail;
    }
    rest
}

/// A string ends at its line's end, closed or not: nothing may hide the brackets behind it.
fn after_string(mut rest: &[u8]) -> &[u8] {
    loop {
        rest = match rest {
            [] | [b'\n' | b'\r', ..] => return rest,
            [b'"', tail @ ..] => return tail,
            [b'\\', escaped, tail @ ..] if !matches!(escaped, b'\n' | b'\r') => tail,
            [_, tail @ ..] => tail,
        };
    }
}

/// Ends at the first `"""` that has no backslash before it.
fn after_block_string(mut rest: &[u8]) -> &[u8] {
    loop {
        rest = match rest {
            [] => return rest,
            [b'"', b'"', b'"', tail @ ..] => return tail,
            [b'\\', b'"', b'"', b'"', tail @ ..] | [_, tail @ ..] => tail,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::nest_within;

    #[test]
    fn depth_is_counted_and_not_length() {
        assert!(nest_within("{a(b:[1,{c:2}]){d}}", 4));
        assert!(!nest_within("{a(b:[1,{c:2}]){d}}", 3));
        assert!(nest_within(&"[]".repeat(1000), 1));
    }

    #[test]
    fn brackets_in_strings_and_comments_do_not_count() {
        let deep = "[".repeat(65);
        for document in
            [format!("{{a(b:\"{deep}\")}}"), format!("{{a(b:\"\"\"{deep}\"\"\")}}"), format!("# {deep}\n{{a}}")]
        {
            assert!(nest_within(&document, 64), "{document}");
        }
    }

    #[test]
    fn nothing_hides_the_brackets_behind_it() {
        let deep = "[".repeat(65);
        for prefix in [
            "# \"\n",
            "# x\r",
            "\"\"\" a \" b \"\"\"",
            "\"a\\\"\"",
            "\"\"",
            "\"\"\"\\\"\"\"\"\"\"",
            "\"\\\\\"",
            "\"open\n",
            "\"open\r",
            "\"open\\\n",
            "\u{feff}",
        ] {
            assert!(!nest_within(&format!("{prefix}{deep}"), 64), "{prefix:?}");
        }
    }
}
