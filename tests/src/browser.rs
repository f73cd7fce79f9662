//! Headless Chromium, spoken to by its DevTools protocol over a pipe.
//!
//! The shell lays the pipe on file descriptors 3 and 4, where `--remote-debugging-pipe` looks for it: no port, no
//! websocket, no driver program. Messages are JSON, each ended by a zero byte.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{missing, workspace_root};

/// How long an answer may take. Pages are drawn without a graphics card.
const PATIENCE: Duration = Duration::from_secs(120);

/// The pipe: commands come from the shell's input, answers go to its output.
const START: &str = "exec \"$0\" \"$@\" 3<&0 4>&1 0</dev/null 1>&2 2>/dev/null";

/// A browser with one page; it ends with the value.
#[derive(Debug)]
pub struct Browser {
    process: Child,
    commands: ChildStdin,
    messages: Receiver<Value>,
    n_sent: u64,
    session: Option<String>,
    events: Vec<Value>,
    /// Run in each page before its own scripts.
    prelude: String,
    /// Its profile; removed when dropped.
    _profile: TempDir,
}

/// A rectangle of the page: x, y, width and height in CSS pixels.
pub type Rectangle = [f64; 4];

impl Browser {
    /// Starts `chromium`; `None` where there is none, which the test then says.
    pub fn start(test: &str) -> Option<Self> {
        let version = Command::new("chromium").arg("--version").output();
        if !version.is_ok_and(|output| output.status.success()) {
            missing(test, "there is no chromium (Debian: apt-get install chromium)");
            return None;
        }
        let profile = tempfile::tempdir().unwrap_or_else(|e| panic!("no temporary folder: {e}"));
        let mut process = Command::new("sh")
            .args(["-c", START, "chromium", "--headless", "--no-sandbox", "--no-first-run"])
            .args(["--hide-scrollbars", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("--remote-debugging-pipe")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("chromium cannot be started: {e}"));
        let pipes = (process.stdin.take(), process.stdout.take());
        let (Some(commands), Some(answers)) = pipes else { panic!("chromium has no pipes") };
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            for message in BufReader::new(answers).split(0).map_while(Result::ok) {
                let Ok(message) = serde_json::from_slice(&message) else { break };
                if sender.send(message).is_err() {
                    break;
                }
            }
        });
        Some(Self {
            process,
            commands,
            messages,
            n_sent: 0,
            session: None,
            events: Vec::new(),
            prelude: String::new(),
            _profile: profile,
        })
    }

    /// Has pages opened from now on run a script before their own.
    pub fn prelude(&mut self, script: &str) {
        script.clone_into(&mut self.prelude);
    }

    /// Opens a file in a new page of this size, in place of the one before, and waits until it has loaded.
    pub fn open(&mut self, path: &Path, width: usize, height: usize) {
        self.session = None;
        let target = self.call("Target.createTarget", json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let session = self.call("Target.attachToTarget", attach);
        self.session = session["sessionId"].as_str().map(str::to_owned);
        self.events.clear();
        for domain in ["Page", "Runtime", "Log", "Network"] {
            self.call(&format!("{domain}.enable"), json!({}));
        }
        let size =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        let prelude = json!({"source": self.prelude});
        self.call("Page.addScriptToEvaluateOnNewDocument", prelude);
        self.call("Emulation.setDeviceMetricsOverride", size);
        self.call("Page.navigate", json!({"url": format!("file://{}", path.display())}));
        self.wait_for("the page", |browser| {
            // Any call takes up the events that have come by then.
            browser.evaluate("0");
            browser.events.iter().any(|event| event["method"] == "Page.loadEventFired")
        });
    }

    /// Shows the page as a reader sees it who prefers dark pages.
    pub fn darken(&mut self) {
        let dark = json!({"name": "prefers-color-scheme", "value": "dark"});
        self.call("Emulation.setEmulatedMedia", json!({"features": [dark]}));
    }

    /// The value of a JavaScript expression; a promise is waited for.
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let question =
            json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let answer = self.call("Runtime.evaluate", question);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {answer:#}");
        answer["result"]["value"].clone()
    }

    /// Waits until a JavaScript expression is true.
    pub fn wait_until(&mut self, expression: &str) {
        self.wait_for(expression, |browser| browser.evaluate(expression) == Value::Bool(true));
    }

    fn wait_for(&mut self, what: &str, mut holds: impl FnMut(&mut Self) -> bool) {
        let start = Instant::now();
        while !holds(self) {
            assert!(start.elapsed() < PATIENCE, "in vain waited for {what}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Presses a key and lets it go, for instance `ArrowUp`.
    pub fn press(&mut self, key: &str) {
        for kind in ["keyDown", "keyUp"] {
            self.call("Input.dispatchKeyEvent", json!({"type": kind, "key": key, "code": key}));
        }
    }

    /// Where the first element of a CSS selector lies on the page.
    pub fn place(&mut self, selector: &str) -> Rectangle {
        let selector = Value::from(selector);
        let found = self.evaluate(&format!(
            "(() => {{ const r = document.querySelector({selector}).getBoundingClientRect(); \
             return [r.x + scrollX, r.y + scrollY, r.width, r.height]; }})()"
        ));
        std::array::from_fn(|i| found[i].as_f64().unwrap_or_else(|| panic!("{selector}: {found}")))
    }

    /// A part of the page as PNG.
    pub fn screenshot(&mut self, [x, y, width, height]: Rectangle) -> Vec<u8> {
        let clip = json!({"x": x, "y": y, "width": width, "height": height, "scale": 1});
        let part = json!({"captureBeyondViewport": true, "clip": clip});
        let answer = self.call("Page.captureScreenshot", part);
        let text = answer["data"].as_str().unwrap_or_default();
        STANDARD.decode(text).unwrap_or_else(|e| panic!("no screenshot: {e}"))
    }

    /// What the page asked for since it was opened, itself left out.
    pub fn requests(&self) -> Vec<String> {
        let sent =
            self.events.iter().filter(|event| event["method"] == "Network.requestWillBeSent");
        let asked = sent.filter(|event| event["params"]["type"] != "Document");
        asked.map(|event| event["params"]["request"]["url"].to_string()).collect()
    }

    /// Errors and warnings of the console, exceptions, and what the security policy forbade.
    pub fn complaints(&self) -> Vec<String> {
        let is_complaint = |event: &&Value| match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => true,
            Some("Runtime.consoleAPICalled") => {
                matches!(event["params"]["type"].as_str(), Some("error" | "warning" | "assert"))
            }
            Some("Log.entryAdded") => event["params"]["entry"]["level"] == "error",
            _ => false,
        };
        self.events.iter().filter(is_complaint).map(|event| event["params"].to_string()).collect()
    }

    /// Sends a command and gives its result; events that come before it are kept.
    fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.n_sent += 1;
        let mut message = json!({"id": self.n_sent, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            message["sessionId"] = Value::from(session.as_str());
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        let sent = self.commands.write_all(&bytes).and_then(|()| self.commands.flush());
        sent.unwrap_or_else(|e| panic!("{method}: chromium does not listen: {e}"));
        loop {
            let answer = self.messages.recv_timeout(PATIENCE);
            let answer = answer.unwrap_or_else(|e| panic!("{method}: chromium is silent: {e}"));
            if answer["id"] == self.n_sent {
                assert!(answer["error"].is_null(), "{method}: {answer:#}");
                return answer["result"].clone();
            }
            self.events.push(answer);
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It may have ended by itself; nobody waits for what it says then.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The source of axe-core, which `tests/browser/install.sh` fetches; `None` where it was not, which the test says.
pub fn axe(test: &str) -> Option<String> {
    let path = workspace_root().join("target/browser/node_modules/axe-core/axe.min.js");
    let source = std::fs::read_to_string(path).ok();
    if source.is_none() {
        missing(test, "there is no axe-core: tests/browser/install.sh fetches it");
    }
    source
}
