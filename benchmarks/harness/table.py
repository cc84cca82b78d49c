"""A table that can be printed for a terminal and written as Markdown."""

from dataclasses import dataclass, field


@dataclass
class Table:
    """Rows of text under a heading, with remarks below.

    The first column is aligned to the left, all others to the right.
    """

    title: str
    header: list[str]
    rows: list[list[str]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def to_text(self) -> str:
        """Returns the table in aligned columns."""
        lines = [self.header, *self.rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.header))]
        text = [
            "  ".join(
                cell.rjust(width) if column else cell.ljust(width)
                for column, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        ]
        return "\n".join([self.title, "", *text, "", *self.remarks])

    def to_markdown(self) -> str:
        """Returns the table for a Markdown page."""
        rule = ["---", *["---:"] * (len(self.header) - 1)]
        table = ["| " + " | ".join(line) + " |" for line in (self.header, rule, *self.rows)]
        remarks = [f"* {remark}" for remark in self.remarks]
        return "\n".join([f"**{self.title}**", "", *table, "", *remarks])
