"""Every table that crosses a stage: columns, types, grain; one check at each door.

A stage gives and takes pandas frames; `Table.check` casts a frame to its contract or raises
ContractError. The words are those of docs/guide: own and received events, anchor day, observation,
outcome, eligible, closed, history, priority. The tables stand by the stage that writes them; everybody imports them
from here.
"""

from tschurn.contracts.drift import *
from tschurn.contracts.events import *
from tschurn.contracts.explain import *
from tschurn.contracts.exploration import *
from tschurn.contracts.features import *
from tschurn.contracts.models import *
from tschurn.contracts.process import *
from tschurn.contracts.protocols import *
from tschurn.contracts.segments import *
from tschurn.contracts.simulator import *
from tschurn.contracts.table import *
