# SPDX-License-Identifier: LGPL-2.1-or-later
"""What people install besides the program: manual pages, completions, examples. None may differ from what the program says of itself."""
import os
import re
import shutil

import pytest
import yaml

from conftest import BUILD, ROOT, bare

MANUAL = (ROOT / "docs" / "stray.1").read_text()


def verbs_of(stray):
    return re.findall(r"^  stray (\w+)", stray.call("help").stdout, re.M)


def options_of(stray, verb):
    """All options that a verb's own help tells of."""
    return set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", stray.call(verb, "--help").stdout)) - {"--help"}


def quiet(command, **options):
    done = bare(command, **options)
    assert (done.returncode, done.stderr) == (0, ""), f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    done = bare(["meson", "install", "-C", BUILD, "--no-rebuild", "--destdir", root])
    assert done.returncode == 0, done.stdout + done.stderr
    return root


def one(root, name):
    (found,) = root.rglob(name)
    return found


# manual pages

def test_every_verb_has_a_page(stray, installed):
    pages = {path.name for path in installed.rglob("*.1")}
    assert pages == {"stray.1"} | {f"stray-{verb}.1" for verb in verbs_of(stray)}


def test_pages_are_well_formed(installed):
    for path in installed.rglob("*.1"):
        done = bare(["mandoc", "-T", "lint", "-W", "error", path])
        assert done.returncode == 0, done.stdout + done.stderr


def test_pages_tell_every_option(stray, installed):
    for verb in verbs_of(stray):
        shown = bare(["mandoc", "-T", "utf8", "-O", "width=200", one(installed, f"stray-{verb}.1")]).stdout
        shown = re.sub(".\b", "", shown)
        if verb != "help":
            assert options_of(stray, verb) <= set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", shown)), verb


def test_the_main_page_tells_every_verb_and_option(stray):
    told = {"-" + name for name in re.findall(r"(?:\bFl|,) (-?[a-z][a-z-]*)", MANUAL)}
    missing = {verb: sorted(options_of(stray, verb) - told) for verb in verbs_of(stray) if verb != "help" and options_of(stray, verb) - told}
    assert not missing
    assert not [verb for verb in verbs_of(stray) if not re.search(rf"^\.Cm .*\b{verb}\b", MANUAL, re.M)]


def test_pages_that_are_named_are_installed(stray, installed):
    said = "".join(stray.call(verb, "--help").stdout for verb in verbs_of(stray)) + MANUAL + (ROOT / "README.md").read_text()
    for name in set(re.findall(r"\bdocs/([A-Z_]+\.md)", said)) - {"HOWTO_ADD_HOOK.md"}:
        assert one(installed, name).read_bytes() == (ROOT / "docs" / name).read_bytes()


# completions

CASES = [(["re"], {"report"}), (["help", "sq"], {"sql"}), (["report", "--form"], {"--format"}), (["export", "--to", "s"], {"speedscope", "sqlite"}),
         (["run", "--no-"], {"--no-heap", "--no-follow"}), (["run", "--pair", "o"], {"openssl"})]


@pytest.mark.parametrize("words, wanted", CASES, ids=lambda value: " ".join(sorted(value) if isinstance(value, set) else value))
def test_bash_completes(stray, words, wanted):
    script = '. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _stray; printf "%s\\n" "${COMPREPLY[@]}"'
    found = quiet(["bash", "-c", script, "bash", ROOT / "completions" / "stray.bash", stray.path, *words])
    assert wanted <= set(found.split()) and all(word.startswith(words[-1]) for word in found.split())


@pytest.mark.parametrize("words, wanted", CASES, ids=lambda value: " ".join(sorted(value) if isinstance(value, set) else value))
def test_zsh_completes(stray, words, wanted):
    """With what zsh's completion system would be given; that itself wants a terminal."""
    script = ('_describe() { print -l -- ${${(P)2}%%:*} }; compadd() { print -l -- ${(P)2} }; _files() { }; file=$1; shift; '
              'words=("$@"); CURRENT=$#; PREFIX=$words[CURRENT]; eval "f() { $(<$file) }"; f')
    found = quiet(["zsh", "-f", "-c", script, "zsh", ROOT / "completions" / "_stray", stray.path, *words])
    assert wanted <= set(found.split())


@pytest.mark.parametrize("words, wanted", CASES, ids=lambda value: " ".join(sorted(value) if isinstance(value, set) else value))
def test_fish_completes(stray, words, wanted, tmp_path):
    path = f"{stray.path.parent}:{os.environ['PATH']}"
    found = quiet(["fish", "--no-config", "-c", 'source $argv[1]; complete -C "$argv[2]"', ROOT / "completions" / "stray.fish", " ".join(["stray", *words])],
                  env={"PATH": path, "HOME": str(tmp_path)})
    assert wanted <= {line.split("\t")[0] for line in found.splitlines()}


# examples

def settings_in(text):
    return set(re.findall(r"\bSTRAY_[A-Z_]+", text))


@pytest.mark.parametrize("name", ["systemd.conf", "Dockerfile", "kubernetes.yaml"])
def test_examples_use_settings_there_are(name):
    known = settings_in((ROOT / "preload" / "settings.c").read_text())
    assert settings_in((ROOT / "examples" / name).read_text()) <= known


def test_the_drop_in_is_accepted_by_systemd(tmp_path):
    (tmp_path / "example.service.d").mkdir()
    (tmp_path / "example.service").write_text("[Service]\nExecStart=/bin/true\n")
    shutil.copy(ROOT / "examples" / "systemd.conf", tmp_path / "example.service.d" / "stray.conf")
    for path in tmp_path.rglob("*"):
        path.chmod(path.stat().st_mode & ~0o022)  # it complains of what others may write to, as they may where there is no umask
    quiet(["systemd-analyze", "verify", "example.service"], env={"SYSTEMD_UNIT_PATH": f"{tmp_path}:"})


def test_the_drop_in_traces(stray, tmp_path):
    """Its variables, as systemd would expand them, and a service."""
    lines = re.findall(r"^Environment=(\w+)=(.*)$", (ROOT / "examples" / "systemd.conf").read_text(), re.M)
    env = {name: value.replace("%S", str(tmp_path)).replace("%N", "example") for name, value in lines}
    env["LD_PRELOAD"] = str(stray.shim)
    (tmp_path / "stray").mkdir()
    quiet(["/usr/bin/python3", "-c", "kept = [open('/dev/null') for _ in range(40)]"], env=env)
    report = stray.report(tmp_path / "stray" / "example")
    assert report.trace["heap_sampled_bytes"] == 512 << 10 and report.process()["resources"]["file"]["opened"] >= 40


def test_the_deployment_is_whole():
    deployment = yaml.safe_load((ROOT / "examples" / "kubernetes.yaml").read_text())
    assert (deployment["apiVersion"], deployment["kind"]) == ("apps/v1", "Deployment")
    template = deployment["spec"]["template"]
    assert deployment["spec"]["selector"]["matchLabels"] == template["metadata"]["labels"]
    spec = template["spec"]
    volumes = {volume["name"] for volume in spec["volumes"]}
    for container in spec["initContainers"] + spec["containers"]:
        assert {"name", "image"} <= container.keys() <= {"name", "image", "command", "env", "volumeMounts"}
        assert all(mount["name"] in volumes and mount["mountPath"].startswith("/") for mount in container["volumeMounts"])
        assert all(isinstance(variable.get("value", ""), str) and ("value" in variable) != ("valueFrom" in variable) for variable in container.get("env", []))
    service = next(container for container in spec["containers"] if container["name"] == "service")
    paths = {mount["mountPath"] for mount in service["volumeMounts"]}
    for variable in service["env"]:
        if variable["name"] in ("LD_PRELOAD", "STRAY_OUTPUT"):
            assert os.path.dirname(variable["value"]) in paths


def test_the_dockerfile_copies_what_setup_leaves():
    text = (ROOT / "examples" / "Dockerfile").read_text()
    setup = (ROOT / "scripts" / "setup.sh").read_text()
    words = re.findall(r"^([A-Z]+) ", text, re.M)
    assert set(words) <= {"FROM", "RUN", "COPY", "ENV", "VOLUME", "CMD"} and words[0] == "FROM"
    assert "/opt/stray/build/libstray.so" in text and "build/libstray.so" in setup


def blocks_of(page):
    """The YAML of docs/CI.md, which is indented by four columns below its headings."""
    text = (ROOT / "docs" / page).read_text()
    return {title: yaml.safe_load(re.sub(r"^    ", "", block, flags=re.M))
            for title, block in re.findall(r"^## (GitHub Actions|GitLab CI)\n\n((?:    .*\n|\n)+)", text, re.M)}


def test_ci_examples_are_yaml_with_commands_there_are(stray):
    blocks = blocks_of("CI.md")
    job = blocks["GitHub Actions"]["jobs"]["leaks"]
    assert {"runs-on", "container", "permissions", "steps"} <= job.keys()
    assert all(("uses" in step) != ("run" in step) for step in job["steps"])
    gitlab = blocks["GitLab CI"]["leaks"]
    assert gitlab["allow_failure"]["exit_codes"] == 3 and gitlab["artifacts"]["reports"]["junit"] == "stray.xml"
    commands = "\n".join([step["run"] for step in job["steps"] if "run" in step] + gitlab["script"]).replace("\\\n", " ")
    for line in re.findall(r"build/stray check (.*)", commands):
        for option in re.findall(r"--[a-z-]+", line):
            assert option in options_of(stray, "check"), option
