"""How good a bundle is: on the test period, on launched items, on live arms."""
