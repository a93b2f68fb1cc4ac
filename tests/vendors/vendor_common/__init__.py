"""What all vendors' test servers share: judging requests and answers by the vendors' own descriptions."""
