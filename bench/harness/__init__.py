"""What every comparison needs: processes, a fair HTTP client, facts about the machine, and the lines that are printed."""
