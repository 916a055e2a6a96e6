//! Builds Oniguruma's matcher a second time, with a step counter in its inner loop.
//!
//! Oniguruma's own limits count backtracking only. A pattern such as `a*b` scans forward from every position without
//! backtracking once, which is quadratic and stays unseen. So the matcher's source, which is the onig_sys crate's, is read
//! from where cargo keeps it, a counter is put where each instruction begins, and the result is compiled with all of its
//! public names prefixed. Everything else comes from onig_sys as it is.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// Counts an instruction and the bytes that the one before it went forward; `mp` carries the counter (see src/lib.rs).
/// The instruction that ends a failed match has no position: `s` is not set there.
const PRELUDE: &str = r#"
typedef struct { long left; const unsigned char* seen; } LayerscopeSteps;
#define LAYERSCOPE_STEPS_OVER (-2001)
#define LAYERSCOPE_STEP if (p != FinishCode) { \
    LayerscopeSteps* layerscope_steps = (LayerscopeSteps* )msa->mp->callout_user_data; \
    layerscope_steps->left -= 1 + (s > layerscope_steps->seen ? s - layerscope_steps->seen : 0); \
    layerscope_steps->seen = s; \
    if (layerscope_steps->left < 0) { MATCH_AT_ERROR_RETURN(LAYERSCOPE_STEPS_OVER); } \
  }
"#;

/// What is replaced in the matcher: the beginning of every instruction (both ways of dispatch), and failing.
const EDITS: [(&str, &str); 3] = [
    ("L_##x: SOP_IN(OP_##x);", "L_##x: LAYERSCOPE_STEP SOP_IN(OP_##x);"),
    ("case OP_##x: SOP_IN(OP_##x);", "case OP_##x: LAYERSCOPE_STEP SOP_IN(OP_##x);"),
    ("    fail:\n#endif\n      STACK_POP;", "    fail:\n#endif\n      LAYERSCOPE_STEP STACK_POP;"),
];

const CONFIG: &str = "\
#define STDC_HEADERS 1
#define HAVE_STDLIB_H 1
#define HAVE_STRING_H 1
#define HAVE_STDINT_H 1
#define HAVE_INTTYPES_H 1
#define HAVE_SYS_TYPES_H 1
#define HAVE_SYS_TIME_H 1
#define HAVE_UNISTD_H 1
#define HAVE_ALLOCA_H 1
#define SIZEOF_INT 4
#define SIZEOF_LONG 8
#define SIZEOF_LONG_LONG 8
#define SIZEOF_VOIDP 8
";

fn source_folder() -> PathBuf {
    let manifest = Path::new(&env::var("CARGO_MANIFEST_DIR").unwrap()).join("Cargo.toml");
    let output = Command::new(env::var("CARGO").unwrap())
        .args(["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform"])
        .arg(env::var("TARGET").unwrap())
        .arg("--manifest-path")
        .arg(manifest)
        .output()
        .expect("cargo metadata");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("cargo metadata prints UTF-8");
    text.split("\"manifest_path\":\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .map(PathBuf::from)
        .find(|path| {
            let folder = path.parent().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
            folder.is_some_and(|name| name == "onig_sys" || name.starts_with("onig_sys-"))
        })
        .and_then(|path| path.parent().map(|folder| folder.join("oniguruma").join("src")))
        .expect("onig_sys is among the dependencies")
}

/// The functions that the matcher defines for others: a line that begins with the name, after a line with `extern`.
fn public_functions(source: &str) -> BTreeSet<String> {
    let lines: Vec<&str> = source.lines().collect();
    lines
        .windows(2)
        .filter(|pair| pair[0].starts_with("extern"))
        .filter_map(|pair| pair[1].split_once('(').map(|(name, _)| name))
        .filter(|name| name.starts_with("onig") && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'))
        .map(str::to_owned)
        .collect()
}

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let folder = source_folder();
    let out = PathBuf::from(env::var("OUT_DIR").unwrap());
    let mut source = fs::read_to_string(folder.join("regexec.c")).expect("regexec.c");
    let names = public_functions(&source);
    assert!(names.contains("onig_search_with_param"), "regexec.c is not the one expected");
    for (from, to) in EDITS {
        assert_eq!(source.matches(from).count(), 1, "regexec.c is not the one expected: {from}");
        source = source.replace(from, to);
    }
    let mut text = String::new();
    for name in names {
        text += &format!("#define {name} layerscope_{name}\n");
    }
    text += PRELUDE;
    text += &source;
    fs::write(out.join("config.h"), CONFIG).expect("config.h");
    fs::write(out.join("matcher.c"), text).expect("matcher.c");
    cc::Build::new()
        .include(&out)
        .include(&folder)
        .file(out.join("matcher.c"))
        .warnings(false)
        .compile("layerscope_matcher");
}
