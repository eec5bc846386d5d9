"""The table of a comparison for spreadsheets, for README files and for papers."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from haystack_lrl.evaluation.table import bracket, estimate, figure, judgement, number, setting

_LATEX = {
    "\\": r"\textbackslash{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
}
_MARKDOWN = {"|": r"\|", "<": "&lt;", ">": "&gt;", "&": "&amp;", "`": r"\`", "*": r"\*", "_": r"\_", "\n": " "}


def csv_table(compared: Mapping[str, Any]) -> str:
    """Return one line a test set and system, with every figure in a column of its own, unrounded.

    :param compared: what comparison.json holds.
    """
    file = io.StringIO()
    rows = [_flat(test_set, system) for test_set in compared["test_sets"] for system in test_set["systems"]]
    writer = csv.DictWriter(file, list(dict.fromkeys(name for row in rows for name in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def _flat(test_set: Mapping[str, Any], system: Mapping[str, Any]) -> dict[str, Any]:
    row = {"test_set": test_set["name"], "role": test_set["role"], "language": test_set["language"]}
    row |= {"queries": test_set["queries"], "system": system["name"], "kind": system["kind"]}
    for metric, interval in system["metrics"].items():
        row |= {metric: interval["mean"], f"{metric} low": interval["low"], f"{metric} high": interval["high"]}
    row["letters"] = system.get("letters", "")
    difference = system["difference"] or {}
    for name in ("against", "mean", "low", "high", "p", "holm", "smallest_gain"):
        row[f"difference {name}"] = difference.get(name)
    row["judgement"] = judgement(difference) if difference else ""
    seeds = system.get("seeds") or {}
    return {**row, "seeds": len(seeds.get("means", ())) or "", "spread": seeds.get("spread")}


def _cells(system: Mapping[str, Any], metrics: Sequence[str], *, spread: str) -> list[str]:
    """Return name, letters, the first metric with its interval, the others, and the difference."""
    first, *further = (system["metrics"][metric] for metric in metrics)
    difference, seeds = system["difference"], system.get("seeds") or {}
    shown = f"{figure(first['mean'])} {bracket(first)}".rstrip()
    if seeds:
        shown += f" {spread}{figure(seeds['spread'])}"
    p = number((difference or {}).get("holm", (difference or {}).get("p")))
    said = f"{estimate(difference, '+.3f')} {judgement(difference)}" if difference else ""
    said += f", p {'< 0.001' if p < 0.001 else '= ' + figure(p)}" if said and p is not None else ""
    return [system["name"], system.get("letters", ""), shown, *(figure(one["mean"]) for one in further), said]


def _explained(compared: Mapping[str, Any], test_set: Mapping[str, Any]) -> str:
    """Return what must be read with the deciding table."""
    metric, gain = compared["metrics"][0], test_set.get("smallest_gain")
    said = [f"{metric} with 95% bootstrap intervals over queries."]
    if any("letters" in system for system in test_set["systems"]):
        said.append("Systems that share a letter are not distinguishable (paired randomisation tests, Holm).")
    if any("seeds" in system for system in test_set["systems"]):
        said.append("After ±: the standard deviation over seeds.")
    if gain is not None:
        said.append(f"With 80% power at 5%, these queries detect a true gain of {figure(gain)}.")
    return " ".join(said)


def markdown_table(compared: Mapping[str, Any]) -> str:
    """Return a table a test set, the system to deploy in bold, and the verdict."""
    metrics, deploy = compared["metrics"], compared["verdict"]["deploy"]
    blocks = [_markdown(compared["verdict"]["sentence"])]
    for test_set in compared["test_sets"]:
        header = ["system", "", f"{metrics[0]} [95%]", *metrics[1:], f"difference to {compared['reference']}"]
        lines = [f"**{_markdown(test_set['name'])}**: {_markdown(setting(test_set))}", ""]
        lines += [_line(map(_markdown, header)), _line(["---"] * len(header))]
        for system in test_set["systems"]:
            name, *cells = map(_markdown, _cells(system, metrics, spread="± "))
            lines.append(_line([f"**{name}**" if system["name"] == deploy else name, *cells]))
        blocks.append("\n".join([*lines, "", _markdown(_explained(compared, test_set))]))
    return "\n\n".join(blocks) + "\n"


def _line(cells: "Sequence[str] | map[str]") -> str:
    return f"| {' | '.join(cells)} |"


def _markdown(text: str) -> str:
    return "".join(_MARKDOWN.get(sign, sign) for sign in text)


def latex_table(compared: Mapping[str, Any]) -> str:
    """Return a `table` a test set in booktabs rules; the system to deploy is bold, and letters are superscripts."""
    return "\n".join(_latex_table(compared, test_set) for test_set in compared["test_sets"])


def _latex_table(compared: Mapping[str, Any], test_set: Mapping[str, Any]) -> str:
    metrics, deploy = compared["metrics"], compared["verdict"]["deploy"]
    header = [
        "System",
        f"{metrics[0]} [95\\%]",
        *metrics[1:],
        f"$\\Delta$ {_latex(compared['reference'])} [95\\%]",
        "$p$",
    ]
    body = [_latex_row(system, metrics, bold=system["name"] == deploy) for system in test_set["systems"]]
    caption = f"{test_set['name']}, {test_set['queries']} queries. {_explained(compared, test_set)}"
    return "\n".join(
        [
            "% needs \\usepackage{booktabs}",
            "\\begin{table}",
            f"\\caption{{{_latex(caption)}}}",
            f"\\begin{{tabular}}{{ll{'r' * len(metrics[1:])}lr}}",
            "\\toprule",
            " & ".join(header) + r" \\",
            "\\midrule",
            *body,
            "\\bottomrule",
            "\\end{tabular}",
            "\\end{table}",
            "",
        ]
    )


def _latex_row(system: Mapping[str, Any], metrics: Sequence[str], *, bold: bool) -> str:
    first, *further = (system["metrics"][metric] for metric in metrics)
    difference, seeds = system["difference"] or {}, system.get("seeds") or {}
    name = _latex(system["name"])
    shown = figure(first["mean"]) + (f"$^{{{system['letters']}}}$" if system.get("letters") else "")
    shown += f" {bracket(first)}" if bracket(first) else ""
    shown += f" $\\pm$ {figure(seeds['spread'])}" if seeds else ""
    p = number(difference.get("holm", difference.get("p")))
    cells = [f"\\textbf{{{name}}}" if bold else name, shown, *(figure(one["mean"]) for one in further)]
    cells += [_signed(estimate(difference, "+.3f")), "" if p is None else "$<$0.001" if p < 0.001 else figure(p)]
    return " & ".join(cells if difference else [*cells[:-2], "", ""]) + r" \\"


def _signed(figures: str) -> str:
    return figures.replace("-", "$-$").replace("+", "$+$")


def _latex(text: str) -> str:
    return "".join(_LATEX.get(sign, sign) for sign in text)
