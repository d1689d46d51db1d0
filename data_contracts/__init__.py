"""What goes in and out: tables, requests and answers, and the errors when they do not fit."""
