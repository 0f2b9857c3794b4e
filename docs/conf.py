"""Sphinx builds these pages: `make docs`."""

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "include"), str(ROOT / "plugins")]
home = tempfile.mkdtemp(prefix="airflow-docs-")  # the operators are imported, and Airflow wants one
atexit.register(shutil.rmtree, home, ignore_errors=True)
os.environ["AIRFLOW_HOME"] = home
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["SENTINEL2_OUTPUT_URI"] = "file:///data"  # or a default would name this machine's folder

project = "Sentinel-2 ingestion for Apache Airflow"
copyright = "the contributors"  # noqa: A001 - Sphinx calls it so
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["examples"]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
myst_links_external_new_tab = True

autodoc_member_order = "bysource"
autoclass_content = "both"
autodoc_preserve_defaults = True
autodoc_typehints = "none"  # the docstrings tell the types that matter; signatures stay readable
default_role = "code"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
python_use_unqualified_type_names = True
nitpick_ignore_regex = [(r"py:.*", r"(?!copernicus_dataspace|airflow_copernicus).*")]
"""Names of other projects, whose pages would have to be asked for by network."""

html_theme = "furo"
html_title = project
html_show_sphinx = False


def _list_external_links(app, error):
    """Write the addresses that the pages name, for somebody with a network to try."""
    if error is not None:
        return
    from docutils import nodes  # noqa: PLC0415

    links = {
        reference["refuri"]
        for name in app.env.found_docs
        for reference in app.env.get_doctree(name).findall(nodes.reference)
        if reference.get("refuri", "").startswith(("http://", "https://"))
    }
    (Path(app.outdir) / "external-links.txt").write_text(
        "".join(f"{link}\n" for link in sorted(links))
    )


def setup(app):
    """Add what is special about these pages."""
    app.connect("build-finished", _list_external_links)
