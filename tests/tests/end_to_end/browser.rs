//! The report as a reader meets it: opened in a browser, at the width of a screen and of a phone.

use std::path::PathBuf;

use hemex_tests::{Browser, axe};

use crate::finished;

/// Widths of a laptop's window and of a phone, CSS pixels.
const WIDTHS: [usize; 2] = [1280, 390];

fn page() -> PathBuf {
    finished().task("report").output("report").join("report.html")
}

/// The page at this width, its viewer ready.
fn opened(browser: &mut Browser, width: usize) {
    browser.open(&page(), width, 900);
    browser.wait_until("document.getElementById('viewer').dataset.state === 'ready'");
}

#[test]
fn nothing_leaves_the_page_and_nothing_is_wrong_with_it() {
    let Some(mut browser) = Browser::start("nothing_leaves_the_page_and_nothing_is_wrong_with_it")
    else {
        return;
    };
    for width in WIDTHS {
        opened(&mut browser, width);
        let requests = browser.requests();
        let outward: Vec<&String> =
            requests.iter().filter(|url| !url.starts_with("\"data:")).collect();
        assert!(outward.is_empty(), "{outward:?}");
        assert_eq!(browser.complaints(), Vec::<String>::new());
    }
    // The policy is in force: what the page does not hold is refused, and a script it does not name too.
    let refused = browser.evaluate(
        "fetch('data:,x').then(() => 'fetched', () => { const s = document.createElement('script'); \
         s.textContent = 'window.ran = true'; document.body.append(s); \
         return String(window.ran); })",
    );
    assert_eq!(refused, "undefined");
}

#[test]
fn every_figure_is_in_view() {
    let Some(mut browser) = Browser::start("every_figure_is_in_view") else { return };
    for width in WIDTHS {
        opened(&mut browser, width);
        let page_width = browser.evaluate("document.documentElement.scrollWidth");
        assert_eq!(page_width, width, "the page is wider than the window");
        let outside = browser.evaluate(
            "[...document.querySelectorAll('svg, canvas, figure')].map((e) => [e, e.getBoundingClientRect()])\
             .filter(([, r]) => r.width < 40 || r.height < 40 || r.left < 0 || r.right > innerWidth)\
             .map(([e, r]) => `${e.outerHTML.slice(0, 80)} ${r.left} to ${r.right}`)",
        );
        assert_eq!(outside, serde_json::json!([]), "{width}");
        let n = browser.evaluate("document.querySelectorAll('figure svg').length");
        assert!(n.as_u64() >= Some(8), "{n} figures");
    }
}

/// The canvas once two looks at it agree: a frame that is being drawn may be caught half-way.
fn settled(browser: &mut Browser, canvas: [f64; 4]) -> Vec<[u8; 3]> {
    let mut last = pixels(&browser.screenshot(canvas));
    for _ in 0..20 {
        std::thread::sleep(std::time::Duration::from_millis(100));
        let next = pixels(&browser.screenshot(canvas));
        if next == last {
            break;
        }
        last = next;
    }
    last
}

#[test]
fn the_viewer_draws_the_case_and_keys_scroll_it() {
    let Some(mut browser) = Browser::start("the_viewer_draws_the_case_and_keys_scroll_it") else {
        return;
    };
    opened(&mut browser, 1280);
    let canvas = browser.place("#viewer-canvas");
    let first = settled(&mut browser, canvas);
    let n_background = first.iter().filter(|pixel| **pixel == [0, 0, 0]).count();
    assert!(4 * n_background < 3 * first.len(), "{n_background} of {} are black", first.len());
    let is_reference = |pixel: &&[u8; 3]| pixel[2] > 120 && pixel[2] > pixel[0].saturating_add(60);
    assert!(first.iter().filter(is_reference).count() > 50, "no edge of the reference is drawn");

    let slice = |browser: &mut Browser| {
        let text = browser.evaluate("document.getElementById('viewer').dataset.slice");
        text.as_str().and_then(|text| text.parse::<i64>().ok()).unwrap_or_else(|| panic!("{text}"))
    };
    browser.evaluate("document.getElementById('viewer-canvas').focus()");
    let start = slice(&mut browser);
    browser.press("ArrowUp");
    assert_eq!(slice(&mut browser), start + 1);
    let above = settled(&mut browser, canvas);
    let n_other = first.iter().zip(&above).filter(|(a, b)| a != b).count();
    assert!(20 * n_other > first.len(), "{n_other} pixels of another slice differ");
    browser.press("ArrowDown");
    browser.press("ArrowDown");
    assert_eq!(slice(&mut browser), start - 1);
    // Neither end is passed.
    (0..20).for_each(|_| browser.press("PageDown"));
    assert_eq!(slice(&mut browser), 0);

    // Without the outlines what was coloured is grey.
    browser.evaluate("document.querySelectorAll('[data-overlay]').forEach((box) => box.click())");
    let bare = settled(&mut browser, canvas);
    assert!(bare.iter().all(|[r, g, b]| r.abs_diff(*g) < 12 && g.abs_diff(*b) < 12));

    // A case's button brings it into the viewer, in sight and ready for keys.
    browser.evaluate("document.querySelector('button[data-case=\"1\"]').click()");
    browser.wait_until("document.getElementById('viewer').dataset.state === 'ready' && \
         document.getElementById('viewer-case').value === '1' && document.activeElement.id === 'viewer-canvas'");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn whoever_is_chosen_last_is_shown() {
    let Some(mut browser) = Browser::start("whoever_is_chosen_last_is_shown") else { return };
    opened(&mut browser, 1280);
    let choose = |browser: &mut Browser, cases: &str| {
        browser.evaluate(&format!(
            "for (const i of {cases}) {{ const list = document.getElementById('viewer-case'); \
             list.value = i; list.dispatchEvent(new Event('change')); }}"
        ));
        browser.wait_until("document.getElementById('viewer').dataset.state === 'ready'");
        // What else is still being loaded comes too late.
        std::thread::sleep(std::time::Duration::from_millis(700));
        let canvas = browser.place("#viewer-canvas");
        let range = browser.evaluate("document.getElementById('viewer-slice').max");
        (range, settled(browser, canvas))
    };
    let [first, last] = ["[0]", "[2]"].map(|case| choose(&mut browser, case));
    assert!(first != last, "two cases look alike");
    // What is asked for first is the last to come.
    browser.evaluate(
        "{ const load = niivue.NVImage.loadFromBase64.bind(niivue.NVImage); let n = 0; \
         niivue.NVImage.loadFromBase64 = async (one) => { \
         await new Promise((done) => setTimeout(done, Math.max(0, 400 - 80 * n++))); return load(one); }; 0 }",
    );
    assert!(choose(&mut browser, "[0, 1, 2]") == last);
    // A hasty reader breaks nothing, and no key of NiiVue's turns the view.
    browser.evaluate("document.getElementById('viewer-canvas').focus()");
    ["v", "c", "h"].into_iter().for_each(|key| browser.press(key));
    let canvas = browser.place("#viewer-canvas");
    // A frame that is being drawn may be caught half-way.
    let is_as_it_was = (0..20).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(150));
        pixels(&browser.screenshot(canvas)) == last.1
    });
    assert!(is_as_it_was, "a key has turned the view");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn without_webgl_a_page_keeps_its_pictures() {
    let test = "without_webgl_a_page_keeps_its_pictures";
    let Some(mut browser) = Browser::start(test) else { return };
    browser.prelude("HTMLCanvasElement.prototype.getContext = () => null");
    browser.open(&page(), 1280, 900);
    for expression in [
        "document.getElementById('viewer').hidden",
        "document.querySelectorAll('.case svg image').length > 0",
        "[...document.querySelectorAll('button[data-case]')].every((button) => button.hidden)",
    ] {
        assert_eq!(browser.evaluate(expression), true, "{expression}");
    }
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn everyone_can_read_it() {
    let test = "everyone_can_read_it";
    let (Some(mut browser), Some(axe)) = (Browser::start(test), axe(test)) else { return };
    for (width, is_dark) in WIDTHS.into_iter().flat_map(|width| [(width, false), (width, true)]) {
        opened(&mut browser, width);
        if is_dark {
            browser.darken();
        }
        browser.evaluate(&format!("{axe}; 0"));
        let found = browser.evaluate(
            "axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice']})\
             .then((r) => ({passes: r.passes.map((p) => p.id), violations: r.violations.map((v) => \
             `${v.id}: ${v.help}: ${v.nodes.slice(0, 3).map((n) => n.html.slice(0, 160)).join(' | ')}`)}))",
        );
        assert_eq!(found["violations"], serde_json::json!([]), "{width} px, dark: {is_dark}");
        let passes = found["passes"].as_array().unwrap();
        for rule in ["color-contrast", "region", "landmark-one-main", "svg-img-alt", "label"] {
            assert!(passes.iter().any(|id| id == rule), "{rule} was not looked at: {passes:?}");
        }
    }
}

fn pixels(png: &[u8]) -> Vec<[u8; 3]> {
    let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
    let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
    let frame = reader.next_frame(&mut bytes).unwrap();
    let n = frame.color_type.samples();
    bytes[..frame.buffer_size()]
        .chunks_exact(n)
        .map(|pixel| [pixel[0], pixel[1], pixel[2]])
        .collect()
}
