"""The sample archive: fictional records at real places of Syria's coast, made by the archive's own actions.

Nothing binary is shipped: every photograph, sound, film and paper is drawn at set-up. Real are the places, and the
casualty figures of archive.sample.claims, which are quoted as published. Everybody and everything else is invented.
"""
