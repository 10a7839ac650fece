"""``python -m tenant_svc``."""

from tenant_svc.main import main

main()
