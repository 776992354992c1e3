"""What the demonstration says while it works: one moving line on a terminal, else a line per stage."""
import sys


class Screen:
    def __init__(self, out=None):
        self.out = out or sys.stdout
        self.moving = self.out.isatty()
        self.shown = ''

    def say(self, text=''):
        """A line that stays."""
        self._wipe()
        print(text, file=self.out, flush=True)

    def stage(self, text: str, total: int = 0):
        """Begin a stage; returns what to call with the number done so far."""
        if not self.moving:
            self.say(text)
            return lambda done: None
        return lambda done: self._show(f'{text}: {done}/{total}' if total else text)

    def _show(self, text: str):
        if text != self.shown:
            print(f'\r\x1b[K{text}', end='', file=self.out, flush=True)
            self.shown = text

    def _wipe(self):
        if self.shown:
            print('\r\x1b[K', end='', file=self.out)
            self.shown = ''
