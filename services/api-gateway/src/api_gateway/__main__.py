"""``python -m api_gateway`` runs the process."""

from api_gateway.main import main

main()
