// GraphiQL uses one thing of framer-motion: tabs that can be dragged into another order. The browser can do that alone.
import { createContext, useContext, useRef } from 'react';

const List = createContext(null);

function Group({ values, onReorder, axis: _axis, children, ...props }) {
  const dragged = useRef(null);
  function drop(target) {
    const from = values.indexOf(dragged.current);
    const to = values.indexOf(target);
    dragged.current = null;
    if (from < 0 || to < 0 || from === to) return;
    const order = values.toSpliced(from, 1);
    order.splice(to, 0, values[from]);
    onReorder(order);
  }
  return (
    <List.Provider value={{ dragged, drop }}>
      <ul {...props}>{children}</ul>
    </List.Provider>
  );
}

function Item({ value, dragElastic: _elastic, dragConstraints: _constraints, children, ...props }) {
  const { dragged, drop } = useContext(List);
  return (
    <li
      {...props}
      draggable
      onDragStart={(event) => {
        dragged.current = value;
        event.dataTransfer.effectAllowed = 'move';
      }}
      onDragOver={(event) => dragged.current && event.preventDefault()}
      onDrop={(event) => {
        event.preventDefault();
        drop(value);
      }}
      onDragEnd={() => {
        dragged.current = null;
      }}
    >
      {children}
    </li>
  );
}

export const Reorder = { Group, Item };
